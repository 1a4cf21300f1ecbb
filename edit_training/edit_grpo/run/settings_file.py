"""Settings from a YAML or JSON file and the command line, and as a table for `--settings`.

The command line goes before the file, and a dotted name reaches into a section.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from edit_grpo.errors import SettingsError
from edit_grpo.run.settings import TrainSettings
from edit_rrm.nested_settings import flat, problems, put

RESUMABLE = frozenset({"out", "updates", "save_every", "keep"})
"""What a run may be continued with anew, beside the `reward` settings of RESUMABLE_REWARD."""
RESUMABLE_REWARD = frozenset({
    "urls", "api_key_env", "deadline_s", "attempts", "patience_s", "poll_s", "max_empty_updates", "overlap",
})  # fmt: skip


def load_settings(file: Path | None, assignments: Sequence[str]) -> TrainSettings:
    """The settings of `file` with `NAME=VALUE` assignments, whose values are read as YAML, before it.

    Raises SettingsError, naming every field that is wrong.
    """
    values = {} if file is None else _read(file)
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"expected NAME=VALUE, got {text!r}")
        try:
            put(values, name.strip(), yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise SettingsError(f"{name}: {value!r} is no YAML value") from error
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(problems(error))) from error


def write_settings(settings: TrainSettings, path: Path) -> None:
    """Writes them as YAML that `load_settings` reads."""
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def check_resumable(begun: TrainSettings, now: TrainSettings) -> None:
    """Raises SettingsError when a run begun with `begun` would not be the same run under `now`."""
    before, after = fixed_settings(begun), fixed_settings(now)
    changed = [name for name in before if before[name] != after.get(name)]
    changed += [name for name in after if name not in before]
    if changed:
        raise SettingsError(
            f"{now.out} was begun with other settings ({', '.join(changed)}); "
            "continue it with the same ones, or choose another out"
        )


def settings_rows(kind: type[BaseModel] = TrainSettings, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, default, description) of every setting, sections unfolded."""
    for name, field in kind.model_fields.items():
        sections = [part for part in _models(field.annotation) if part is not kind]
        default: Any = field.get_default(call_default_factory=True)
        if not sections:
            shown = "required" if default is PydanticUndefined else "" if default is None else str(default)
            yield prefix + name, shown, field.description or ""
        elif field.description:
            yield prefix + name, "", field.description
        for section in sections:
            yield from settings_rows(section, f"{prefix}{name}.")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"cannot read {file}: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{file} must hold one setting a line: 'name: value'")
    return content


def fixed_settings(settings: TrainSettings) -> Mapping[str, Any]:
    """The settings that decide the run's weights, flattened by dotted name."""
    values = settings.model_dump(mode="json", exclude=set(RESUMABLE))
    for name in RESUMABLE_REWARD:
        values["reward"].pop(name)
    if settings.optimizer.schedule != "constant":
        values["updates"] = settings.updates  # the schedule ends there
    return flat(values)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation names, however deep in unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
