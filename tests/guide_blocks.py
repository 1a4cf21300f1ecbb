"""The blocks of README.md and docs/: Python as one program against the mock service, commands by word."""

import functools
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from PIL import Image

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer

_DOCS = Path(__file__).parents[1] / "docs"
_PIECE = re.compile(r"^#+ (?P<heading>[^\n]*)$|^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
_REWARDS = {"first.png": 0.9, "second.png": 0.2, "broken.png": None}


class Block(NamedTuple):
    """A fenced block and the heading it stands under."""

    heading: str
    language: str
    code: str


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    heading, found = "", []
    for piece in _PIECE.finditer((_DOCS / page).read_text(encoding="utf-8")):
        if piece["heading"] is not None:
            heading = piece["heading"]
        else:
            found.append(Block(heading, piece["language"], piece["code"]))
    return found


def shell_blocks(page: str) -> list[Block]:
    """The blocks of a page that are commands, in order."""
    return [block for block in blocks_of(page) if block.language in ("", "sh", "bash")]


def commands(block: Block) -> list[list[str]]:
    """The command lines of a block by word, joined at backslashes, without comments."""
    lines = block.code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := _words(line))]


def commands_in_lines(page: str) -> list[list[str]]:
    """What stands between backticks outside of blocks, by word: commands, and much else."""
    text = re.sub(r"^```.*?^```$", "", (_DOCS / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    return [words for span in re.findall(r"`([^`]+)`", text) if (words := span.split())]


def shown(page: str, number: int, changes: Mapping[str, str]) -> list[list[str]]:
    """The command lines of a page's `number`th block of commands, with what a test must have otherwise.

    `changes` says what is replaced by what, in turn: an address, a path, a count. One that changes nothing
    fails. A word that is empty afterwards is left out.
    """
    block = shell_blocks(page)[number]
    return commands(block._replace(code=pasted(page, number, changes)))


def pasted(page: str, number: int, changes: Mapping[str, str]) -> str:
    """The page's `number`th block of commands as it stands, for a shell, with the changes of `shown`."""
    code = shell_blocks(page)[number].code
    for before, after in changes.items():
        assert before in code, f"{page} shows no {before!r} there"
        code = code.replace(before, after)
    return code


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quotation that goes on in the next line
        return line.split()


def serve_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the pages' pictures into `folder`, goes there, and has every client meet the mock service."""
    monkeypatch.chdir(folder)
    by_colour: dict[int, float | None] = {}
    for shade, name in enumerate(["source.png", *_REWARDS]):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(folder / name)
        by_colour[shade] = _REWARDS.get(name)

    def rewards(request: ScoreRequest) -> list[float | None]:
        files = server.calls[-1].files
        return [by_colour[_shade(files[candidate.part or ""], folder)] for candidate in request.candidates]

    server = MockRewardServer(rewards)
    for name in ("Client", "AsyncClient"):
        monkeypatch.setattr(httpx, name, functools.partial(getattr(httpx, name), transport=server))


def run_blocks(
    blocks: Iterable[Block], variables: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs the Python blocks as one program; each prints what the text right behind it says, or nothing."""
    blocks = list(blocks)
    following = [*blocks[1:], Block("", "", "")]
    for block, behind in zip(blocks, following, strict=True):
        if block.language == "python":
            exec(compile(block.code, block.heading, "exec"), variables)
            expected = behind.code if behind.language == "text" else ""
            assert capsys.readouterr().out == expected, block.code


def _shade(file: bytes, folder: Path) -> int:
    (folder / "sent.png").write_bytes(file)
    with Image.open(folder / "sent.png") as image:
        pixel = image.convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return int(pixel[0])
