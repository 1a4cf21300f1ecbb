"""The help of a command as Markdown whose examples survive: each stands in a fence, where no markup is read.

Typer takes the indentation of a text's parts away one by one, and an indented block may be none afterwards.
"""

import inspect
import re
from itertools import groupby
from textwrap import dedent

_EXAMPLE = "Example: "
_COMMANDS = re.compile(r"(edit-(rrm|grpo)[\w-]* ([^\n]*\\\n)*[^\n]*[^\n.:,;]\n?)+")


def with_fences(text: str) -> str:
    """`text` with its indented paragraphs, and those that are commands from end to end, in fences."""
    parts = []
    for is_code, group in groupby(_paragraphs(text), key=_is_code):
        joined = "\n\n".join(group)
        parts.append(f"```\n{dedent(joined)}\n```" if is_code else joined)
    return "\n\n".join(parts)


def _paragraphs(text: str) -> list[str]:
    """An example that begins in a line of text becomes a paragraph of its own."""
    found = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith(_EXAMPLE):
            found += ["Example:", paragraph.removeprefix(_EXAMPLE)]
        else:
            found.append(paragraph)
    return found


def _is_code(paragraph: str) -> bool:
    return paragraph.startswith("    ") or _COMMANDS.fullmatch(paragraph) is not None
