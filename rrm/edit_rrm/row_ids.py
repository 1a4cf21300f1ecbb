"""`RowId`: the id of a row in other people's files. What numbers rows often writes numbers."""

from typing import Annotated

from pydantic import BeforeValidator, Field


def as_text(value: object) -> object:
    """The text of a whole number, as JSON and tables hold them (7, 7.0); anything else as it is."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return str(int(value)) if whole and not isinstance(value, bool) else value  # type: ignore[call-overload]


RowId = Annotated[str, BeforeValidator(as_text), Field(min_length=1)]
