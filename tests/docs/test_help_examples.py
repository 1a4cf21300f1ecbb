"""Every example that a help page shows parses as the command it is of; every option a guide names exists."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from test_help_pages import APPS, pages, shown
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from guide_blocks import blocks_of, commands

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = sorted(path.name for path in DOCS.glob("*.md"))
ENDS_A_COMMAND = {"&", "&&", "|", "||", ";", ">", "2>", ">>", "#", "done"}
_FENCE = re.compile(r"^```\n(.*?)\n```$", re.M | re.S)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def command_of(words: list[str]) -> tuple[Any, list[str]] | None:
    """The command that words call, and the words left for it; None for another program's."""
    words = [word.rpartition("/")[2] if word.endswith(tuple(APPS)) else word for word in words]
    start = next((place for place, word in enumerate(words) if word in APPS), None)
    if start is None:
        return None
    end = next((n for n, word in enumerate(words) if n > start and word in ENDS_A_COMMAND), len(words))
    program, *left = words[start:end]
    command: Any = get_command(APPS[program])
    while isinstance(command, TyperGroup) and left and left[0].islower() and not left[0].startswith("-"):
        assert left[0] in command.commands, f"{program} has no command {left[0]}"
        command = command.commands[left.pop(0)]
    return command, left


def known_options(command: Any) -> set[str]:
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return names | {"-h", "--help"}


def parse(command: Any, words: list[str]) -> None:
    """Parses as the command would, and runs nothing; a file that is not there is no mistake of an example."""
    parameters = [each for each in command.params if not getattr(each, "is_eager", False)]
    for each in parameters:
        each.callback = None
        each.envvar = None
    context = command.context_class(command, info_name=command.name, resilient_parsing=False)
    try:
        command.parse_args(context, list(words))
    except Exception as error:
        said = error.format_message() if hasattr(error, "format_message") else repr(error)
        if "does not exist" not in said:
            raise AssertionError(f"{command.name} {shlex.join(words)}: {said}") from error


def examples(program: str) -> Iterator[list[str]]:
    for _, texts in pages(get_command(APPS[program])):
        for fence in (found for text in texts for found in _FENCE.findall(text)):
            for line in fence.replace("\\\n", " ").splitlines():
                if any(name in line for name in APPS):
                    yield shlex.split(line, comments=True)


@pytest.mark.parametrize("program", APPS)
def test_every_example_of_a_help_page_parses(program: str) -> None:
    found = [called for words in examples(program) if (called := command_of(words)) is not None]
    assert found, f"{program} shows no example"
    for command, words in found:
        if not isinstance(command, TyperGroup):
            parse(command, words)


@pytest.mark.parametrize(
    "line", ["edit-rrm report --outt x r.parquet", "edit-rrm best-of r.parquet -n many", "edit-rrm report"]
)
def test_a_wrong_example_would_be_found(line: str) -> None:
    called = command_of(shlex.split(line))
    assert called is not None
    with pytest.raises(AssertionError):
        parse(*called)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_options_of_the_commands_in_a_guide_exist(guide: str) -> None:
    for block in blocks_of(guide):
        if block.language not in ("", "sh", "bash", "shell"):
            continue
        for words in commands(block):
            called = command_of(words)
            if called is None:
                continue
            command, left = called
            options = {word.partition("=")[0] for word in left if re.match(r"--?[a-z]", word)}
            assert options <= known_options(command), (guide, " ".join(words))


@pytest.mark.parametrize("guide", GUIDES)
def test_the_options_that_the_text_of_a_guide_names_exist(guide: str) -> None:
    """Between backticks, with the command: `edit-rrm score --column …`."""
    text = re.sub(r"^```.*?^```$", "", (DOCS / guide).read_text(encoding="utf-8"), flags=re.M | re.S)
    for span in re.findall(r"`((?:edit-rrm|edit-grpo)[^`]*)`", text):
        called = command_of(re.sub(r"(?<!\w)\[|\]", " ", span).split())
        if called is not None and not isinstance(called[0], TyperGroup):
            assert set(_OPTION.findall(span)) <= known_options(called[0]), (guide, span)


@pytest.mark.parametrize("program", APPS)
def test_help_and_version_are_asked_for_alike(program: str) -> None:
    app: typer.Typer = APPS[program]
    assert CliRunner().invoke(app, ["--version"]).output == f"{program} 0.1.0\n"
    for path, _ in pages(get_command(app)):
        asked = CliRunner().invoke(app, [*path, "-h"])
        assert asked.exit_code == 0, path
        assert "Usage: " in asked.output


def every_command(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from every_command(below, *path, name)
    else:
        yield path, command


@pytest.mark.parametrize("program", APPS)
def test_what_is_written_and_asked_is_named_alike(program: str) -> None:
    for path, command in every_command(get_command(APPS[program])):
        visible = {name for each in command.params if shown(each) for name in each.opts}
        assert not visible & {"--output", "--server", "--output-file", "--cfg"}, path


@pytest.mark.parametrize("program", APPS)
def test_an_error_of_usage_is_one_line_on_stderr(program: str) -> None:
    ended = CliRunner().invoke(APPS[program], ["--colour"])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"{program}: No such option: --colour")
    assert len(ended.stderr.splitlines()) == 1


def test_the_spellings_of_before_are_taken(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for words in (["--output", str(page)], [f"--output={page}"]):
        ended = CliRunner().invoke(APPS["edit-rrm"], ["report", str(tmp_path / "none.jsonl"), *words])
        assert "No such option" not in ended.stderr
        assert "none.jsonl" in ended.stderr


@pytest.mark.parametrize(
    ("program", "words", "name"),
    [
        ("edit-rrm-server", ["settings"], "port"),
        ("edit-rrm-train", ["sft", "--settings"], "base"),
        ("edit-rrm-train", ["gcpo", "--settings"], "pairs"),
        ("edit-grpo", ["train", "--settings"], "reward.urls"),
    ],
)
def test_settings_are_listed_for_a_script(program: str, words: list[str], name: str) -> None:
    listed = json.loads(CliRunner().invoke(APPS[program], [*words, "--json"]).stdout)
    assert name in {one["name"] for one in listed}
    assert all(one["description"] for one in listed)


@pytest.mark.parametrize(
    ("program", "path"),
    [
        ("edit-rrm", "compare"), ("edit-rrm", "best-of"), ("edit-rrm", "score-one"), ("edit-rrm", "models"),
        ("edit-rrm", "guards"), ("edit-rrm", "bench tiger"), ("edit-rrm", "bench gedit"),
        ("edit-rrm-server", "settings"),
        ("edit-rrm-train", "evaluate"), ("edit-rrm-train", "evaluate-pairs"), ("edit-rrm-train", "sft"),
        ("edit-grpo", "train"), ("edit-grpo", "preflight"),
        ("edit-rrm-shapes", "evaluate"), ("edit-rrm-shapes", "labels"), ("edit-rrm-shapes", "oracle"),
        ("edit-rrm-shapes", "judge"),
    ],
)  # fmt: skip
def test_a_command_that_prints_a_table_prints_its_numbers_for_a_script(program: str, path: str) -> None:
    commands = dict(every_command(get_command(APPS[program])))
    assert "--json" in known_options(commands[tuple(path.split())])


def test_judges_are_listed_for_a_script() -> None:
    listed = json.loads(CliRunner().invoke(APPS["edit-rrm"], ["judges", "list", "--json"]).stdout)
    assert {"name", "version"} == set(listed["judges"][0])
    assert "editscore" in listed["importable"]


@pytest.mark.parametrize(
    ("program", "words", "meant"),
    [
        ("edit-grpo", ["train", "flux_kontext_papr"], "flux_kontext_paper"),
        ("edit-rrm-train", ["sft", "--config", "sft_7b_loar"], "sft_7b_lora"),
        ("edit-rrm-train", ["gcpo", "--config", "gcpo_3b_ful"], "gcpo_3b_full"),
    ],
)
def test_a_preset_is_taken_by_name_and_a_misspelt_one_is_told_the_nearest(
    program: str, words: list[str], meant: str
) -> None:
    ended = CliRunner().invoke(APPS[program], words)
    assert ended.exit_code == 2
    assert ended.stderr.rstrip().endswith(f"did you mean {meant}?")
    known = CliRunner().invoke(APPS[program], [*words[:-1], meant, "--set", "colour=red"])
    assert "colour is no setting" in known.stderr  # the preset was read
