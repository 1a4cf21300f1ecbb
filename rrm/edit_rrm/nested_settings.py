"""Settings in sections: nested values by dotted names.

It knows no file format and no package's settings; whoever reads settings calls it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of sections: frozen, and an unknown name is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def put(values: dict[str, Any], name: str, value: Any) -> None:
    """Sets `name`, whose dots enter sections; a section that is not there, or is no mapping, begins empty."""
    *sections, last = name.split(".")
    for section in sections:
        inner = values.get(section)
        values[section] = inner = dict(inner) if isinstance(inner, dict) else {}
        values = inner
    values[last] = value


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value by its dotted name; a section without values stays one."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
