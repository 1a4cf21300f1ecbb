"""Kinds of chat endpoints: ours speaks the OpenAI API; a package may bring others (entry point group
`edit_rrm_training.endpoints`: an `EndpointKind` by the name that the configuration gives as `kind`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from edit_rrm import plugins
from edit_rrm.errors import PluginError
from edit_rrm.setting_problems import problems
from edit_rrm_training.endpoints.endpoint import Endpoint
from edit_rrm_training.endpoints.openai import OpenAIEndpoint, OpenAISettings

_GROUP: plugins.Group = "edit_rrm_training.endpoints"


@dataclass(frozen=True)
class EndpointKind:
    """The model of an `[endpoints.NAME]` table, and how an endpoint is opened from it and its name."""

    settings: type[BaseModel]
    open: Callable[[str, Any], Endpoint]


_OURS: Mapping[str, EndpointKind] = {"openai": EndpointKind(OpenAISettings, OpenAIEndpoint)}


def read_table(name: str, table: Any) -> BaseModel:
    """The settings in an `[endpoints.NAME]` table. Raises ValueError that says what is wrong with it."""
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise ValueError(f"{name}: expected a table with a kind, one of {', '.join(_known())}")
    try:
        settings = _kind(table["kind"]).settings
    except PluginError:
        raise ValueError(
            f"{name}: unknown kind {table['kind']!r}, expected one of {', '.join(_known())}"
        ) from None
    try:
        return settings.model_validate(table)
    except ValidationError as error:
        raise ValueError("; ".join(f"{name}.{one}" for one in problems(error, settings))) from error


def open_endpoint(name: str, settings: Any) -> Endpoint:
    """The endpoint of a table that `read_table` read. Raises StepError."""
    return _kind(settings.kind).open(name, settings)


def _kind(name: str) -> EndpointKind:
    if name in _OURS:
        return _OURS[name]
    kind: EndpointKind = plugins.load(_GROUP, name)
    return kind


def _known() -> list[str]:
    return sorted({*_OURS, *plugins.names(_GROUP)})
