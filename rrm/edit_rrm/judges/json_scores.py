"""The answer form `json_scores`: a JSON object with a list of numbers, or one, under a key."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from edit_rrm.errors import TraceError
from edit_rrm.judges.answer_form import Name, Ranged, Subscores, plain
from edit_rrm.judges.sloppy_json import Array, Object, Scalar, Value, find_blocks
from edit_rrm.tokens import Token

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:[.][0-9]{1,9})?")
_FENCE = re.compile(r"\A\s*```[a-z]*\s*|\s*```\s*\Z")


class JsonScores(Ranged):
    """A JSON object with a list of numbers, or one, under `key`; or the list alone, and nothing around it."""

    form: Literal["json_scores"]
    key: str = Field(default="score", min_length=1)
    subscores: tuple[Name, ...] = Field(min_length=1, max_length=16)
    reasoning: Literal["first", "last", "none"] = Field(
        default="first", description="where a grammar puts the reasoning; reading does not mind"
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
        if not found and len(blocks) == 1 and isinstance(blocks[0].value, Array):
            list_alone = text[blocks[0].start : blocks[0].end]
            found = [blocks[0].value] if _FENCE.sub("", text).strip() == list_alone else []
        if not found:
            raise TraceError(f"no JSON object with {self.key!r}", text)
        lists = {tuple(self._numbers(value, text)) for value in found}
        if len(lists) > 1:
            raise TraceError(f"{self.key!r} stands there {len(lists)} times, with different numbers", text)
        return {
            name: self.scaled(number, name, text)
            for name, number in zip(self.subscores, lists.pop(), strict=True)
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
        """What a grammar holds the answer to: the reasoning, where there is one, and the numbers."""
        low, high = self.range
        number = {"type": "integer" if self.whole else "number", "minimum": low, "maximum": high}
        count = len(self.subscores)
        numbers = {"type": "array", "items": number, "minItems": count, "maxItems": count}
        scores = {self.key: numbers if count > 1 or self.as_list else number}
        reasoning = {"reasoning": {"type": "string"}}
        properties: dict[str, object] = {
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
