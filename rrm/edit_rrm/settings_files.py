"""Settings from files and `NAME=VALUE` texts, and as rows for people. For every program here.

A file is YAML, JSON or TOML by its suffix; a dotted name reaches into a section. It knows no package's
settings; nested_settings.py has the arithmetic of sections.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticUndefined

from edit_rrm.errors import SettingsFileError
from edit_rrm.nested_settings import put
from edit_rrm.setting_problems import models_in, problems

M = TypeVar("M", bound=BaseModel)


def read_settings_file(file: Path) -> dict[str, Any]:
    """The table a file holds. Raises SettingsFileError."""
    try:
        content = _parse(file.read_text(encoding="utf-8-sig"), file.suffix.lower())
    except (OSError, ValueError) as error:
        raise SettingsFileError(f"cannot read the settings file {file}: {error}") from error
    if not isinstance(content, dict):
        raise SettingsFileError(f"the settings file {file} must hold a table of settings: 'name: value'")
    return content


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` texts by name; a value is read as YAML reads it.

    Raises SettingsFileError, and ModuleNotFoundError without pyyaml, which both trainings' extras bring.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsFileError(f"expected NAME=VALUE, got {text!r}")
        try:
            found[name.strip()] = _parse_yaml(value)
        except ValueError as error:
            raise SettingsFileError(f"{name}: {value!r} is no YAML value") from error
    return found


def load_settings(kind: type[M], file: Path | None, overrides: Mapping[str, Any]) -> M:
    """Settings from `overrides`, by dotted names, and below them `file`.

    Raises SettingsFileError, naming every field that is wrong.
    """
    values = {} if file is None else read_settings_file(file)
    for name, value in overrides.items():
        put(values, name, value)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise SettingsFileError("; ".join(problems(error, kind))) from error


def settings_rows(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(name, default, description) of every setting, sections unfolded."""
    for name, field in kind.model_fields.items():
        sections = [part for part in models_in(field.annotation) if part is not kind]
        default: Any = field.get_default(call_default_factory=True)
        if not sections:
            yield prefix + name, _shown(default), field.description or ""
        elif field.description:
            yield prefix + name, "", field.description
        for section in sections:
            yield from settings_rows(section, f"{prefix}{name}.")


def settings_json(kind: type[BaseModel]) -> str:
    """`settings_rows` as a JSON list."""
    rows = [
        {"name": name, "default": default, "description": text} for name, default, text in settings_rows(kind)
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def changed_settings(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names, sorted, whose values differ between a run as it was begun and as it is asked for now."""
    return sorted(name for name in {*begun, *now} if begun.get(name) != now.get(name))


def _shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, Path) and default.is_absolute():  # of this installation: it has a name
        return default.name
    return "" if default in (None, "", (), {}) else str(default)


def _parse(text: str, suffix: str) -> Any:
    """Raises ValueError for what does not parse."""
    if suffix == ".json":
        return json.loads(text)
    if suffix == ".toml":
        return tomllib.loads(text)
    try:
        return _parse_yaml(text)
    except ModuleNotFoundError as error:
        raise ValueError("YAML needs the package pyyaml: pip install pyyaml") from error


def _parse_yaml(text: str) -> Any:
    """Raises ValueError for what does not parse, ModuleNotFoundError without pyyaml."""
    import yaml  # the light client does without

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
