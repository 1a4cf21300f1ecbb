"""The answer form `json_scores`: a JSON object with a list of numbers, or one, under a key."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from edit_rrm.errors import TraceError
from edit_rrm.judges.forms.answer_form import Name, Ranged, Subscores, plain
from edit_rrm.judges.texts.sloppy_json import Array, Block, Object, Scalar, Value, find_blocks
from edit_rrm.tokens import Token

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:[.][0-9]{1,9})?")
_FENCE = re.compile(r"\A\s*```[a-z]*\s*|\s*```\s*\Z")


class JsonScores(Ranged):
    """A JSON object with a list of numbers, or one, under `key`; else a list alone or after "score ="."""

    form: Literal["json_scores"]
    key: str = Field(default="score", min_length=1)
    subscores: tuple[Name, ...] = Field(min_length=1, max_length=16)
    reasoning: Literal["first", "last", "none"] = Field(
        default="first", description="where a grammar puts the reasoning; reading does not mind"
    )
    reasoning_chars: int = Field(
        default=1000, ge=1, description="a grammar ends the reasoning there: an answer must fit its budget"
    )
    as_list: bool = Field(default=False, description="a grammar writes a single number as a list of one too")

    @property
    def subscore_names(self) -> tuple[str, ...]:
        """One for each number of the list."""
        return self.subscores

    def read(self, text: str, tokens: Sequence[Token]) -> Subscores:
        """See `Form.read`. The same list may stand there twice, two different ones may not."""
        blocks = find_blocks(text)
        found = [value for block in blocks for value in _under(block.value, plain(self.key))]
        if not found:
            found = [block.value for block in blocks if self._is_the_list(block, text)]
        if not found:
            raise TraceError(f"no JSON object with {self.key!r}", text)
        lists = {tuple(self._numbers(value, text)) for value in found}
        if len(lists) > 1:
            raise TraceError(f"{self.key!r} stands there {len(lists)} times, with different numbers", text)
        return {
            name: self.scaled(number, name, text)
            for name, number in zip(self.subscores, lists.pop(), strict=True)
        }

    def _is_the_list(self, block: Block, text: str) -> bool:
        """Whether a list stands in no object and is meant all the same: alone, or after "score ="."""
        if not isinstance(block.value, Array):
            return False
        named = re.compile(rf"\b{re.escape(self.key)}[\"'*`\s]*[=:]\s*\Z", re.IGNORECASE)
        before = text[max(0, block.start - len(self.key) - 16) : block.start]
        alone = text[block.start : block.end] == _FENCE.sub("", text).strip()
        return alone or named.search(before) is not None

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
        """What a grammar holds the answer to: the reasoning, where there is one, and the numbers."""
        low, high = self.range
        number = {"type": "integer" if self.whole else "number", "minimum": low, "maximum": high}
        count = len(self.subscores)
        numbers = {"type": "array", "items": number, "minItems": count, "maxItems": count}
        scores: dict[str, object] = {self.key: numbers if count > 1 or self.as_list else number}
        said = {"type": "string", "maxLength": self.reasoning_chars}
        reasoning: dict[str, object] = {"reasoning": said}
        properties = {
            "first": {**reasoning, **scores},
            "last": {**scores, **reasoning},
            "none": scores,
        }[self.reasoning]
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


def _under(value: Value, key: str) -> Iterator[Value]:
    """What stands under `key` in an outermost object, or in one of a list of them."""
    if isinstance(value, Object):
        yield from (item for name, item in value.pairs if plain(name) == key)
    elif isinstance(value, Array):
        for item in value.items:
            if isinstance(item, Object):
                yield from _under(item, key)


def _number(value: Value, highest: float, name: str, text: str) -> float:
    if isinstance(value, Scalar):
        written = re.sub(rf"\s*(?:/|out of)\s*{re.escape(f'{highest:g}')}\Z", "", value.text.strip())
        if _NUMBER.fullmatch(written):
            return float(written)
        raise TraceError(f"{name} is no number: {value.text[:40]!r}", text)
    raise TraceError(f"{name} is no number", text)
