"""ImgEdit-Bench, a judge for each kind of edit.

Three numbers, 1 to 5, each on a line that the prompt itself shows; their mean is the score, as upstream.
Which category a line is in depends on the kind.

Verified in PKU-YuanGroup/ImgEdit at 547185d: Benchmark/Basic/.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edit_rrm.errors import JudgeError
from edit_rrm.judges.importing.checkout import expected, provenance
from edit_rrm.judges.importing.templates import INSTRUCTION, marked

CATEGORIES: Mapping[str, tuple[str, str, str]] = {
    "add": ("follow", "quality", "quality"),
    "remove": ("follow", "quality", "quality"),
    "replace": ("follow", "quality", "quality"),
    "adjust": ("follow", "quality", "quality"),
    "background": ("follow", "quality", "quality"),
    "compose": ("follow", "quality", "quality"),
    "style": ("follow", "keep", "quality"),
    "action": ("follow", "keep", "quality"),
    "extract": ("follow", "quality", "quality"),
}
_LINE = re.compile(r"^(?P<label>[^:\n]{3,60}): A number from 1 to 5\.?\s*$", re.MULTILINE)


def read(root: Path, kind: str) -> dict[str, Any]:
    """The content of the judge file for a kind of edit, a key of `CATEGORIES`. Raises JudgeError."""
    file = expected(root, "Benchmark/Basic/prompts.json", "Basic/prompts.json", "prompts.json")
    text = _text(file, kind)
    labels = [match["label"].strip() for match in _LINE.finditer(text)]
    names = [re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") for label in labels]
    if len(set(names)) != len(CATEGORIES[kind]):
        raise JudgeError(f"{file}: {kind!r} asks for {len(labels)} numbers from 1 to 5, expected 3")
    asked = marked(text, {"<edit_prompt>": INSTRUCTION}, f"{file}: {kind}")
    return {
        "name": f"imgedit-{kind}",
        "about": f"ImgEdit-Bench's own prompt for edits of the kind {kind}, from {provenance(root, file)}.",
        "reward": f"mean({', '.join(names)})",
        "subscores": {
            name: {"category": category} for name, category in zip(names, CATEGORIES[kind], strict=True)
        },
        "sampling": {"max_tokens": 512},
        "chat": {"thinking": {"enabled": False}},
        "asks": [
            {
                "name": "edit",
                "messages": [{"role": "user", "parts": [asked, {"image": "source"}, {"image": "candidate"}]}],
                "answer": {
                    "form": "labelled_scores",
                    "range": [1, 5],
                    "whole": True,
                    "labels": {name: [label] for name, label in zip(names, labels, strict=True)},
                },
            }
        ],
    }


def _text(file: Path, kind: str) -> str:
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JudgeError(f"cannot read {file}: {error}") from error
    text = content.get(kind) if isinstance(content, dict) else None
    if not isinstance(text, str):
        raise JudgeError(f"{file} has no prompt {kind!r}")
    return text
