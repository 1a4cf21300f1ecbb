"""The five forms an answer may have, and how each becomes subscores from 0 to 1.

A number that the text does not hold, holds twice in two values, or holds out of range is a TraceError,
never a middle value. Texts are whole: who reads them has refused those that were cut off.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edit_rrm.errors import TraceError
from edit_rrm.judges.sloppy_json import Array, Object, Scalar, Value, find_blocks
from edit_rrm.tokens import Token

Subscores = Mapping[str, float | None]
"""By name, 0 to 1; None where the judge says that one does not apply."""

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:[.][0-9]{1,9})?")
_STATED = re.compile(rf"({_NUMBER.pattern})(?:\s*(?:/|out of)\s*[0-9.]+)?(?:\s*[(–—-].*)?")
_NOT_APPLICABLE = frozenset({"n/a", "na", "not applicable", "none", "null", "-", "–", "—"})


class _Form(BaseModel):
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


class _Ranged(_Form):
    range: tuple[float, float] = Field(description="lowest and highest number")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"a range is two numbers, the lower first, got [{low:g}, {high:g}]")
        return self

    def _scaled(self, value: float, name: str, text: str) -> float:
        low, high = self.range
        if not low <= value <= high:
            raise TraceError(f"{name} is {value:g}, outside [{low:g}, {high:g}]", text)
        return (value - low) / (high - low)


class TraceForm(_Form):
    """Ours: a verdict for every principle, then the score (traces.py, zero_shot_answers.py)."""

    form: Literal["trace"]
    format: Literal["1", "json"] = "json"

    @property
    def gives_verdicts(self) -> bool:
        """It does."""
        return True


class JsonScores(_Ranged):
    """A JSON object with a list of numbers, or one, under `key`."""

    form: Literal["json_scores"]
    key: str = "score"
    subscores: tuple[Name, ...] = Field(min_length=1, max_length=16)

    @property
    def subscore_names(self) -> tuple[str, ...]:
        """One for each number of the list."""
        return self.subscores

    def read(self, text: str, tokens: Sequence[Token]) -> Subscores:
        """See `_Form.read`. The same list may stand there twice, two different ones may not."""
        found = [value for block in find_blocks(text) for value in _under(block.value, _plain(self.key))]
        if not found:
            raise TraceError(f"no JSON object with {self.key!r}", text)
        lists = {tuple(self._numbers(value, text)) for value in found}
        if len(lists) > 1:
            raise TraceError(f"{self.key!r} stands there {len(lists)} times, with different numbers", text)
        numbers = lists.pop()
        return {
            name: self._scaled(number, name, text)
            for name, number in zip(self.subscores, numbers, strict=True)
        }

    def _numbers(self, value: Value, text: str) -> list[float]:
        items = value.items if isinstance(value, Array) else (value,)
        if len(items) != len(self.subscores):
            raise TraceError(
                f"expected {len(self.subscores)} numbers under {self.key!r}, got {len(items)}", text
            )
        return [
            _number(item, self.range[1], name, text) for item, name in zip(items, self.subscores, strict=True)
        ]

    def json_schema(self) -> dict[str, object]:
        """What a grammar holds the answer to: reasoning first, then the numbers."""
        low, high = self.range
        number = {"type": "number", "minimum": low, "maximum": high}
        count = len(self.subscores)
        numbers = {"type": "array", "items": number, "minItems": count, "maxItems": count}
        return {
            "type": "object",
            "properties": {"reasoning": {"type": "string"}, self.key: numbers if count > 1 else number},
            "required": ["reasoning", self.key],
            "additionalProperties": False,
        }


class LabelledScores(_Ranged):
    """Lines such as "Text faithfulness: 3.5", perhaps with Markdown around them."""

    form: Literal["labelled_scores"]
    labels: dict[Name, tuple[str, ...]] = Field(min_length=1, description="a subscore's labels, any case")
    optional: tuple[Name, ...] = Field(default=(), description='those that may be "N/A"')

    @property
    def subscore_names(self) -> tuple[str, ...]:
        """One for each label."""
        return tuple(self.labels)

    @property
    def optional_names(self) -> tuple[str, ...]:
        """As the judge says."""
        return self.optional

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        unknown = sorted(set(self.optional) - set(self.labels))
        if unknown:
            raise ValueError(f"optional names {unknown[0]!r}, which has no label")
        spelled = [_plain(label) for labels in self.labels.values() for label in labels]
        if "" in spelled or len(set(spelled)) < len(spelled):
            raise ValueError("a label is empty, or stands for two subscores")
        return self

    def read(self, text: str, tokens: Sequence[Token]) -> Subscores:
        """See `_Form.read`."""
        by_label = {_plain(label): name for name, labels in self.labels.items() for label in labels}
        found: dict[str, float | None] = {}
        for label, value in _labelled_lines(text, by_label):
            name = by_label[label]
            if value is None and name not in self.optional:
                raise TraceError(f"{name} is N/A, which this judge does not allow", text)
            scaled = None if value is None else self._scaled(value, name, text)
            if found.setdefault(name, scaled) != scaled:
                raise TraceError(f"{name} stands there twice, with different numbers", text)
        missing = [name for name in self.labels if name not in found]
        if missing:
            raise TraceError(f"no number for {', '.join(missing)}", text)
        return {name: found[name] for name in self.labels}


class _OneToken(_Form):
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
                found[spelled.strip()] += math.exp(logprob)
        mass = math.fsum(found.values())
        if mass <= 0.0 or mass < self.least_mass:
            raise TraceError(
                f"the model answers something else: {', '.join(map(repr, found))} have a probability of "
                f"{mass:.2g} together, at least {self.least_mass:g} is asked for",
                text,
            )
        return {spelled: value / mass for spelled, value in found.items()}


class DigitExpectation(_OneToken):
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
        """See `_Form.read`."""
        expected = math.fsum(int(digit) * p for digit, p in self._probabilities(tokens, text).items())
        low, high = self.digits[0], self.digits[-1]
        return {self.subscore: (expected - low) / (high - low)}


class YesNo(_OneToken):
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
        """See `_Form.read`."""
        found = self._probabilities(tokens, text)
        return {self.subscore: min(1.0, math.fsum(found[word.strip()] for word in self.yes))}


AnswerForm = Annotated[
    TraceForm | JsonScores | LabelledScores | DigitExpectation | YesNo, Field(discriminator="form")
]


def _under(value: Value, key: str) -> Iterator[Value]:
    """What stands under `key` in an outermost object, or in one of a list of them."""
    if isinstance(value, Object):
        yield from (item for name, item in value.pairs if _plain(name) == key)
    elif isinstance(value, Array):
        for item in value.items:
            if isinstance(item, Object):
                yield from _under(item, key)


def _number(value: Value, highest: float, name: str, text: str) -> float:
    if isinstance(value, Scalar):
        written = re.sub(rf"\s*(?:/|out of)\s*{highest:g}\Z", "", value.text.strip())
        if _NUMBER.fullmatch(written):
            return float(written)
        raise TraceError(f"{name} is no number: {value.text[:40]!r}", text)
    raise TraceError(f"{name} is no number", text)


def _labelled_lines(text: str, labels: Mapping[str, str]) -> Iterator[tuple[str, float | None]]:
    """(label, number) of every line that begins with a label; None for N/A.

    Around a label may stand a list mark, Markdown emphasis and a remark in brackets.
    """
    for line in text.splitlines():
        bare = re.sub(r"[*_`#|]+", " ", line)
        bare = re.sub(r"^\s*(?:[-•+]|[0-9]{1,2}[.)])?\s*", "", bare)
        label, colon, rest = bare.partition(":")
        if not colon:
            continue
        plain = _plain(re.sub(r"\([^()]*\)", "", label))
        if plain not in labels:
            continue
        value = rest.strip().rstrip(".").strip()
        if value.lower() in _NOT_APPLICABLE:
            yield plain, None
        elif stated := _STATED.fullmatch(value):
            yield plain, float(stated[1])
        else:
            raise TraceError(f"{label.strip()} is no number: {value[:40]!r}", text)


def _plain(label: str) -> str:
    """A label as two spellings of it are compared."""
    return "".join(c for c in label.casefold() if c.isalnum())
