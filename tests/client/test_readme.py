"""README.md and docs/: every block is run by a test; the commands, options and files they name exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from edit_grpo.cli.app import app as grpo_app
from edit_rrm_client.cli import app as client_app
from edit_rrm_server.process.cli import app as server_app
from edit_rrm_shapes.cli.app import app as shapes_app
from edit_rrm_training.cli.app import app as training_app
from guide_blocks import blocks_of, commands, commands_in_lines, shell_blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    "../README.md",
    "../CONTRIBUTING.md",
    "../shapes/README.md",
    *sorted(
        str(path.relative_to(DOCS))
        for folder in (DOCS, DOCS / "notes", DOCS / "reference")
        for path in folder.glob("*.md")
    ),
]
PROGRAMS: dict[str, Any] = {
    "edit-rrm": typer.main.get_command(client_app),
    "edit-rrm-server": typer.main.get_command(server_app),
    "edit-rrm-train": typer.main.get_command(training_app),
    "edit-grpo": typer.main.get_command(grpo_app),
    "edit-rrm-shapes": typer.main.get_command(shapes_app),
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("page", ["../README.md", "index.md", "first-hour.md"])
def test_files_that_the_first_pages_name_ship(page: str) -> None:
    named = {
        path for block in blocks_of(page) for path in re.findall(r"demo/images/[\w/-]+\.png", block.code)
    }
    assert {"demo/images/source.png", "demo/images/recolour-good.png"} & named
    assert all((ROOT / path).is_file() for path in named)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_shown_exists_with_its_options(page: str) -> None:
    for block in shell_blocks(page):
        for words in commands(block):
            name = words[0].removeprefix(".venv/bin/")
            if name == "make":
                assert {w for w in words[1:] if "=" not in w} <= TARGETS, f"{page}: {words}"
            elif name in PROGRAMS:
                check(PROGRAMS[name], words[1:], f"{page}: {' '.join(words)}")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_a_line_exists_with_its_options(page: str) -> None:
    for words in commands_in_lines(page):
        name = words[0].removeprefix(".venv/bin/")
        if name in PROGRAMS:
            check(PROGRAMS[name], words[1:], f"{page}: {' '.join(words)}")


def check(command: Any, words: list[str], shown: str) -> None:
    """Fails where a subcommand or an option of the command line is none; NAME stands for any."""
    while hasattr(command, "commands") and words and not words[0].startswith("-") and not words[0].isupper():
        assert words[0] in command.commands, shown
        command, words = command.commands[words[0]], words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in known | {"--help"}, f"{word} in {shown}"


# Blocks that no test runs as they stand, and what is run instead.
NOT_RUN = {
    ("../CONTRIBUTING.md", 0): "make's targets: .ci/run calls them",
    ("../README.md", 0): "make demo and make test: a stranger's first minutes; .ci/run calls the second",
    ("../README.md", 1): "serve --model: tests/e2e/test_any_checkpoint.py starts it",
    ("../README.md", 2): "make serve, the same process as tests/e2e starts",
    ("../README.md", 6): "installs for GPUs: tests/deploy/test_installs.py resolves each line",
    ("first-hour.md", 0): "make install: tests/deploy/test_installs.py has its line",
    ("first-hour.md", 1): "serve, the same process as tests/e2e starts",
    ("index.md", 0): "make demo and make serve",
    ("judges.md", 0): "tests/client/test_judge_commands.py runs each of them",
    ("judges.md", 1): "somebody's repository: tests/rrm/test_judge_importing.py has files of its layout",
    ("notes/judges-imported.md", 0): "checkouts of eight repositories",
    ("operations.md", 0): "checkpoints of a hub: tests/server/test_hub_checkpoints.py has a small one",
    ("photographs.md", 0): "make demo-photos: tests/demo/test_score_photos.py runs what it calls",
    (
        "training-on-gpus.md",
        0,
    ): "eight GPUs; tests/rrm_training/test_scale_configs.py runs both files on two CPU processes",
}
# Other languages: who reads or runs them.
OTHERS = {
    ("../README.md", "python"): "test_first_requests.py",
    ("index.md", "python"): "test_first_requests.py",
    ("first-hour.md", "python"): "test_first_hour.py",
    ("client.md", "python"): "test_client_guide.py",
    ("trainers.md", "python"): "test_trainers_guide.py",
    ("trainers.md", "yaml"): "test_trainers_guide.py",
    ("api.md", "jsonc"): "test_wire.py",
    ("judges.md", "toml"): "test_judges_guide.py",
    ("fleet.md", "json"): "test_reload_under_load.py",
    ("operations.md", "ini"): "test_listening.py",
    ("operations.md", "toml"): "test_server_settings.py",
    ("metrics.md", "promql"): "test_prometheus_scrapes.py",
    ("rrm-data.md", "toml"): "test_pipeline_steps.py",
    ("add-an-editor.md", "python"): "test_adding_an_editor.py",
    ("add-an-editor.md", "toml"): "test_adding_an_editor.py",
}


def test_every_block_of_commands_is_run_by_a_test() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    asked = re.compile(r'\b(?:shown|follow|pasted)\(\s*"([\w./-]+\.md)", (\d+)')
    run = {(page, int(number)) for source in sources for page, number in asked.findall(source)}
    run |= {
        (page, number)
        for page in ("../README.md", "index.md")
        for number, block in enumerate(shell_blocks(page))
        if "score-one" in block.code or block.code.startswith("curl")  # e2e/served/test_first_requests.py
    }
    every = {(page, number) for page in PAGES for number, _ in enumerate(shell_blocks(page))}
    assert every - run == set(NOT_RUN)
    assert run <= every


def test_every_block_in_another_language_is_read_or_run_by_a_test() -> None:
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    every = {(page, block.language) for page in PAGES for block in blocks_of(page)}
    assert {pair for pair in every if pair[1] not in ("", "sh", "bash", "text")} == set(OTHERS)
    assert all(page.removeprefix("../") in tests[name] for (page, _), name in OTHERS.items())
