"""Every room says what it is for and what it must not know, as docs/architecture.md has it."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAYS_WHAT_NOT = re.compile(
    r"\b(not know|starts nothing|knows? (?:no|nothing|none)\b|know neither|never|nothing of|must know none|imports? no)"
)


def rooms() -> list[Path]:
    """The `__init__` of every layer that import-linter knows, where it is a room and no single module."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found = []
    for contract in (one for one in contracts if one["type"] == "layers"):
        (package,) = contract["containers"]
        (folder,) = (file.parent for file in ROOT.glob(f"*/{package}/__init__.py"))
        names = [name.strip() for layer in contract["layers"] for name in layer.split("|")]
        found += [file for name in names if (file := folder / name / "__init__.py").exists()]
    return found


def test_every_room_says_what_it_must_not_know() -> None:
    texts = {str(room.relative_to(ROOT)): ast.get_docstring(ast.parse(room.read_text())) for room in rooms()}
    assert len(texts) > 25
    assert [room for room, text in texts.items() if not SAYS_WHAT_NOT.search(text or "")] == []
