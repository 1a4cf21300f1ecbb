"""What every answer form is: how an answer becomes subscores from 0 to 1. The forms stand in answers.py."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edit_rrm.errors import TraceError
from edit_rrm.tokens import Token

Subscores = Mapping[str, float | None]
"""By name, 0 to 1; None where the judge says that one does not apply."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]


class Form(BaseModel):
    """Base of the forms. Frozen, and an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def subscore_names(self) -> tuple[str, ...]:
        """What it gives."""
        return ()

    @property
    def optional_names(self) -> tuple[str, ...]:
        """Those that may be None."""
        return ()

    @property
    def gives_verdicts(self) -> bool:
        """Whether it judges principles."""
        return False

    @property
    def watched(self) -> tuple[str, ...]:
        """Token texts whose log-probabilities it reads."""
        return ()

    @property
    def max_tokens(self) -> int | None:
        """How long it can be, where that is known."""
        return None

    def read(self, text: str, tokens: Sequence[Token]) -> Subscores:
        """The subscores of an answer. Raises TraceError."""
        raise NotImplementedError


class Ranged(Form):
    """A form of numbers from a range."""

    range: tuple[float, float] = Field(description="lowest and highest number")
    whole: bool = Field(default=False, description="whole numbers only; a fraction is refused")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"a range is two numbers, the lower first, got [{low:g}, {high:g}]")
        return self

    def scaled(self, value: float, name: str, text: str) -> float:
        """A number of the range brought to 0–1. Raises TraceError for one that is not in it."""
        low, high = self.range
        if not low <= value <= high:
            raise TraceError(f"{name} is {value:g}, outside [{low:g}, {high:g}]", text)
        if self.whole and value != int(value):
            raise TraceError(f"{name} is {value:g}, and this judge gives whole numbers", text)
        return (value - low) / (high - low)


def plain(label: str) -> str:
    """A label as two spellings of it are compared: letters and digits alone, in lower case."""
    return "".join(c for c in label.casefold() if c.isalnum())
