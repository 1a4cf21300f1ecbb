"""Settings that are lists: as text they are separated by commas."""

from typing import Any


def split_at_commas(value: Any) -> Any:
    """The parts of a text without those that are empty; any other value as it is, for pydantic to judge."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())
