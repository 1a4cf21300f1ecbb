"""README.md and docs/: Python on the first pages runs; commands shown exist and have the options shown."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from guide_blocks import Block, blocks_of, serve_pictures

from edit_grpo.cli import app as grpo_app
from edit_rrm_client.cli import app as client_app
from edit_rrm_server.cli import app as server_app
from edit_rrm_training.cli import app as training_app

ROOT = Path(__file__).parents[2]
PAGES = ["../README.md", *sorted(path.name for path in (ROOT / "docs").glob("*.md"))]
PROGRAMS: dict[str, Any] = {
    "edit-rrm": typer.main.get_command(client_app),
    "edit-rrm-server": typer.main.get_command(server_app),
    "edit-rrm-train": typer.main.get_command(training_app),
    "edit-grpo": typer.main.get_command(grpo_app),
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("page", ["../README.md", "index.md"])
def test_python_on_the_first_pages_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_pictures(tmp_path, monkeypatch)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((tmp_path / "first.png").read_bytes())
    blocks = [block for block in blocks_of(page) if block.language == "python"]
    assert blocks
    for block in blocks:
        exec(compile(block.code, page, "exec"), {})
    assert "0.9" in capsys.readouterr().out


def commands(block: Block) -> list[list[str]]:
    """The command lines of a block without a language, joined at backslashes, without comments."""
    lines = block.code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := _words(line))]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quotation that goes on in the next line
        return line.split()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_shown_exists_with_its_options(page: str) -> None:
    for block in blocks_of(page):
        if block.language not in ("", "sh", "bash"):
            continue
        for words in commands(block):
            name = words[0].removeprefix(".venv/bin/")
            if name == "make":
                assert {w for w in words[1:] if "=" not in w} <= TARGETS, f"{page}: {words}"
            elif name in PROGRAMS:
                check(PROGRAMS[name], words[1:], f"{page}: {' '.join(words)}")


def check(command: Any, words: list[str], shown: str) -> None:
    """Fails where a subcommand or an option of the command line is none."""
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, shown
        command, words = command.commands[words[0]], words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in known | {"--help"}, f"{word} in {shown}"
