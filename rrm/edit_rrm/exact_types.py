"""Numbers as JSON tells them apart from texts and flags: `true` is no number and `"2"` no integer.

A whole number may stand where a fraction may, and 2.0 is the integer 2, as JSON Schema has it.
"""

from typing import Any

from pydantic import BeforeValidator


def _no_text_or_flag(value: Any) -> Any:
    if isinstance(value, bool | str | bytes):
        raise ValueError(f"expected a number, got a {'flag' if isinstance(value, bool) else 'text'}")
    return value


EXACT = BeforeValidator(_no_text_or_flag)
"""Annotates an int or float, after its bounds."""
