"""Texts assigned at the top of a Python file, read from its syntax tree. A stranger's code is never run."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edit_rrm.errors import JudgeError

MAX_BYTES = 4_000_000


@dataclass(frozen=True)
class Hole:
    """Where an f-string puts a variable's value."""

    variable: str


Pieces = tuple[str | Hole, ...]
"""A text in pieces; of anything but an f-string, one."""


def python_texts(file: Path, *wanted: str) -> dict[str, Pieces]:
    """The texts that the variables `wanted` are given; of one given twice, the last.

    Literals, f-strings whose holes are plain variables, and sums of those. Raises JudgeError naming the file
    and the variable.
    """
    found: dict[str, Pieces] = {}
    for node in _parsed(file).body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id in wanted:
                pieces = _pieces(node.value)
                if pieces is None:
                    raise JudgeError(f"{file}: {target.id} is no plain text (line {node.lineno})")
                found[target.id] = pieces
    missing = [name for name in wanted if name not in found]
    if missing:
        raise JudgeError(f"{file} does not assign {', '.join(missing)}, where the prompt was expected")
    return found


def plain_texts(file: Path, *wanted: str) -> Mapping[str, str]:
    """As `python_texts`, of texts without holes. Raises JudgeError."""
    texts = {}
    for name, pieces in python_texts(file, *wanted).items():
        if any(isinstance(piece, Hole) for piece in pieces):
            raise JudgeError(f"{file}: {name} is an f-string, where a plain text was expected")
        texts[name] = "".join(piece for piece in pieces if isinstance(piece, str))
    return texts


def _parsed(file: Path) -> ast.Module:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise JudgeError(f"{file} has more than {MAX_BYTES} bytes, and is no file of prompts")
        return ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise JudgeError(f"cannot read {file}: {error}") from error


def _pieces(node: ast.expr) -> Pieces | None:
    """None for what is no text."""
    match node:
        case ast.Constant(value=str() as text):
            return (text,)
        case ast.JoinedStr(values=values):
            parts = [_pieces(value) for value in values]
        case ast.FormattedValue(value=ast.Name(id=variable), conversion=-1, format_spec=None):
            return (Hole(variable),)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [_pieces(left), _pieces(right)]
        case _:
            return None
    if any(part is None for part in parts):
        return None
    return tuple(piece for part in parts if part is not None for piece in part)
