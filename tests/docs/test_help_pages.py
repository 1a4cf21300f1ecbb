"""A help page shows every word that its source says: markup eats none."""

import re
from collections.abc import Iterator

import pytest
import typer
from typer import rich_utils
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from edit_grpo.cli.app import app as edit_grpo
from edit_rrm_client.cli import app as edit_rrm
from edit_rrm_server.process.cli import app as edit_rrm_server
from edit_rrm_shapes.cli.app import app as edit_rrm_shapes
from edit_rrm_training.cli.app import app as edit_rrm_train

APPS = {
    "edit-rrm": edit_rrm, "edit-rrm-server": edit_rrm_server, "edit-rrm-train": edit_rrm_train,
    "edit-grpo": edit_grpo, "edit-rrm-shapes": edit_rrm_shapes,
}  # fmt: skip
_MARKS = re.compile(r"\\(?=[\[\]])|[`*]")


def pages(command: object, *path: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The words that lead to each page, and the texts it is made of."""
    params = getattr(command, "params", [])
    texts = [getattr(command, "help", None), *(getattr(one, "help", None) for one in params if shown(one))]
    yield path, [text for text in texts if text]
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            if not below.hidden:
                yield from pages(below, *path, name)


def shown(parameter: object) -> bool:
    return not getattr(parameter, "hidden", False)


@pytest.mark.parametrize("program", APPS)
def test_every_word_of_a_help_text_is_on_its_page(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 2000)
    app: typer.Typer = APPS[program]
    for path, texts in pages(get_command(app)):
        page = CliRunner().invoke(app, [*path, "--help"]).output
        words = {word for text in texts for word in _MARKS.sub("", text.partition("\f")[0]).split()}
        assert not [word for word in words if word not in _MARKS.sub("", page)], (program, path)
