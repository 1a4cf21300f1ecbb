"""The answer forms of one token: `digit_expectation` and `yes_no`. Its probabilities count, not the text."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edit_rrm.errors import TraceError
from edit_rrm.judges.forms.answer_form import Form, Name, Subscores
from edit_rrm.tokens import Token


class OneToken(Form):
    """An answer that is the first written token: its probabilities count, not the text."""

    subscore: Name = "answer"
    least_mass: float = Field(
        default=0.5, ge=0.0, le=1.0, description="least probability of all the texts together"
    )

    @property
    def subscore_names(self) -> tuple[str, ...]:
        """The one."""
        return (self.subscore,)

    @property
    def max_tokens(self) -> int | None:
        """One."""
        return 1

    def _texts(self) -> tuple[str, ...]:
        """What the token may be, without space around it."""
        raise NotImplementedError

    @property
    def watched(self) -> tuple[str, ...]:
        """The texts, with and without a space before them."""
        return tuple(dict.fromkeys(form for text in self._texts() for form in (text, f" {text}")))

    def _probabilities(self, tokens: Sequence[Token], text: str) -> dict[str, float]:
        """Of each text, summing to 1. Raises TraceError where the model would rather write something else."""
        if not tokens or tokens[0].logprob is None:
            raise TraceError("the answer's token has no log-probability", text)
        first = tokens[0]
        shown = {**first.alternatives, first.text: first.logprob}
        found = dict.fromkeys(self._texts(), 0.0)
        for spelled, logprob in shown.items():
            if logprob is not None and spelled.strip() in found:
                found[spelled.strip()] += math.exp(min(logprob, 0.0))
        mass = math.fsum(found.values())
        if not (mass > 0.0 and mass >= self.least_mass):  # NaN, of a model that is broken, is neither
            raise TraceError(
                f"the model answers something else: {', '.join(map(repr, found))} have a probability of "
                f"{mass:.2g} together, at least {self.least_mass:g} is asked for",
                text,
            )
        return {spelled: value / mass for spelled, value in found.items()}


class DigitExpectation(OneToken):
    """One digit; the subscore is the expectation Σ d·p(d) over `digits`, brought to 0–1."""

    form: Literal["digit_expectation"]
    digits: tuple[Annotated[int, Field(ge=0, le=9)], ...] = Field(default=(0, 1, 2, 3, 4, 5), min_length=2)

    @model_validator(mode="after")
    def _check_digits(self) -> Self:
        if list(self.digits) != sorted(set(self.digits)):
            raise ValueError("digits rise, each once")
        return self

    def _texts(self) -> tuple[str, ...]:
        return tuple(map(str, self.digits))

    def read(self, text: str, tokens: Sequence[Token]) -> Subscores:
        """See `Form.read`."""
        expected = math.fsum(int(digit) * p for digit, p in self._probabilities(tokens, text).items())
        low, high = self.digits[0], self.digits[-1]
        return {self.subscore: (expected - low) / (high - low)}


class YesNo(OneToken):
    """Yes or no; the subscore is p(yes) / (p(yes) + p(no))."""

    form: Literal["yes_no"]
    yes: tuple[str, ...] = Field(default=("yes", "Yes"), min_length=1)
    no: tuple[str, ...] = Field(default=("no", "No"), min_length=1)

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        words = [word.strip() for word in self.yes + self.no]
        if "" in words or len(set(words)) < len(words):
            raise ValueError("the words for yes and no are all different, and none is empty")
        return self

    def _texts(self) -> tuple[str, ...]:
        return tuple(word.strip() for word in self.yes + self.no)

    def read(self, text: str, tokens: Sequence[Token]) -> Subscores:
        """See `Form.read`."""
        found = self._probabilities(tokens, text)
        return {self.subscore: min(1.0, math.fsum(found[word.strip()] for word in self.yes))}
