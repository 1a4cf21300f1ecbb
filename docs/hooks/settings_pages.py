"""Writes docs/reference/: every setting of the service and the trainers, from the models that read them.

    .venv/bin/python docs/hooks/settings_pages.py

The pages are in the repository for those who read them there, and tests/docs/test_settings_pages.py compares
them. As a hook it gives the site what the code says today.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

from edit_grpo.run.settings import TrainSettings
from edit_rrm.settings_files import settings_rows
from edit_rrm_server.settings.server import ServerSettings
from edit_rrm_training.runs.settings import GcpoConfig, SftConfig

DOCS = Path(__file__).parents[1]


class Page(NamedTuple):
    """A page of settings: whose, the guide that says how to use them, and each command's model."""

    title: str
    guide: str
    commands: Mapping[str, type[BaseModel]]


PAGES = {
    "reference/edit-grpo-settings.md": Page(
        "Settings of an editor's training",
        "[Train an editor](../train-an-editor.md) says which of them matter.",
        {"edit-grpo train": TrainSettings},
    ),
    "reference/edit-rrm-train-settings.md": Page(
        "Settings of the RRM's training",
        "[Training the RRM](../train-the-rrm.md) says which of them matter.",
        {"edit-rrm-train sft": SftConfig, "edit-rrm-train gcpo": GcpoConfig},
    ),
    "reference/server-settings.md": Page(
        "Settings of the service",
        "[Operations](../operations.md) says which of them matter. A setting is given by `--set name=value`, "
        "by its variable (`EDIT_RRM_` and the name in capitals, a dot as two underscores: "
        "`EDIT_RRM_GUARDS__BLANK_RANGE`), or in the file of `serve --config`; the first of these goes before "
        "the others.",
        {"edit-rrm-server serve": ServerSettings},
    ),
}


class Setting(NamedTuple):
    """A row of `settings_rows`."""

    name: str
    default: str
    text: str


def pages() -> dict[str, str]:
    """The text of every page by its path in docs/."""
    return {path: _text(page) for path, page in PAGES.items()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Has the site show the pages as they would be written now."""
    for path, text in pages().items():
        written = files.get_file_from_path(path)
        if written is not None:
            files.remove(written)
        files.append(File.generated(config, path, content=text))
    return files


def _text(page: Page) -> str:
    parts = [
        f"# {page.title}",
        f"{page.guide} A name with a dot lies in a section of the file; `--set name=value` goes before the "
        "file. Defaults stand in brackets; a setting without one is absent.",
        "Written by `docs/hooks/settings_pages.py` from the code.",
    ]
    for command, kind in page.commands.items():
        parts.append(f"## {command}")
        for heading, settings in _groups(kind):
            if heading:
                parts.append(f"### {heading}")
            parts.append("\n".join(map(_line, settings)))
    return "\n\n".join(parts) + "\n"


def _groups(kind: type[BaseModel]) -> list[tuple[str, list[Setting]]]:
    """Those outside of all sections, then each section's; models that a section chooses from, alone."""
    rows = [Setting(*row) for row in settings_rows(kind)]
    groups: list[tuple[str, list[Setting]]] = [("", [])]
    for row in rows:
        section = row.name.partition(".")[0]
        if not any(other.name.startswith(f"{section}.") for other in rows):
            section = ""
        settings = next((found for name, found in reversed(groups) if name == section), None)
        if settings is None or row.name in {each.name for each in settings}:
            settings = []
            groups.append((section, settings))
        settings.append(row)
    sections = [section for section, _ in groups]
    return [
        (_chosen(section, settings) if sections.count(section) > 1 else section, settings)
        for section, settings in groups
    ]


def _chosen(section: str, settings: list[Setting]) -> str:
    """The heading of one of the models that a section chooses from by its `name`."""
    return f"{section}: {next(each.default for each in settings if each.name == f'{section}.name')}"


def _line(setting: Setting) -> str:
    default = setting.default
    if default and default != "required":
        default = f"`{default if default.strip() else repr(default)}`"
    return f"- `{setting.name}`{f' ({default})' if default else ''}: {setting.text}"


if __name__ == "__main__":
    for written, content in pages().items():
        (DOCS / written).write_text(content, encoding="utf-8")
        print(DOCS / written)
