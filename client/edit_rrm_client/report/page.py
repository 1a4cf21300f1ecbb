"""The page put together: one file, no network, and no way for a text in the data to become markup.

Data stands in `<script type="application/json">` with every `<` escaped, so that no text can end the
element; the scripts put texts into the page as text nodes only. A content security policy allows the
page's own style and script, by their digests, and pictures from the page itself: nothing else runs or
loads, even if a text did become markup.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from edit_rrm import web

SCRIPTS = ("data.js", "summary.js", "viewer.js", "cards.js", "view.js", "page.js")
SHARED = ("compare.js",)


def assemble(title: str, data: dict[str, Any], images: Iterable[str]) -> Iterable[str]:
    """The page in pieces, to be written one after another.

    `images` are base64 texts of WebP files; `data` is what `Records.data` gives.
    """
    style, script = _asset("page.css"), _script()
    parts = {
        "title": [html.escape(title)],
        "policy": [html.escape(policy(style, script))],
        "style": [style],
        "script": [script],
        "data": [json_text(data)],
        "images": (
            f'<script type="application/json" id="image-{place}">{json_text(text)}</script>\n'
            for place, text in enumerate(images)
        ),
    }
    for piece in re.split(r"(\{\{\w+\}\})", _asset("page.html")):
        if piece.startswith("{{"):
            yield from parts[piece.strip("{}")]
        else:
            yield piece


def policy(style: str, script: str) -> str:
    """The content security policy of a page with this style and this script."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def json_text(value: Any) -> str:
    """JSON that may stand inside a script element: it holds no `<`, `>`, `&` and no line separators."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub(r"[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _script() -> str:
    shared = [re.sub(r"^export ", "", web.script(name), flags=re.M) for name in SHARED]
    return '"use strict";\n(() => {\n' + "\n".join([*shared, *map(_asset, SCRIPTS)]) + "})();\n"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")
