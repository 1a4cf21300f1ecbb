"""Reads JSON as foreign models write it, and remembers where each value stands in the text.

Forgives prose around the JSON, single and typographic quotes, full-width punctuation, comments, trailing and
missing commas, bare words, unescaped quotes inside strings and forgotten closing brackets (these it tells).
The work is bounded by a few times the text's length. Knows nothing of principles or verdicts.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_MAX_DEPTH = 16
_WORK_PER_CHARACTER = 8
_WORK_PER_BRACKET = 10

_SPACE = re.compile(r"\s*")
_SEPARATORS = re.compile(r"(?:[\s,，]|//[^\n]*|/\*[^*]{0,200}\*/|#[ \t][^\n]*)*")
_OPENING = re.compile(r"[\[{]")
_OUTSIDE_WORDS = r"\s,，:：\[\]{}\"'“”<>`"
_WORD = re.compile(rf"(?!//|#[ \t])[^{_OUTSIDE_WORDS}]+(?:[ \t]+(?!//|#[ \t])[^{_OUTSIDE_WORDS}]+)*")
_LAST_WORD = re.compile(r"\w+\s*[,，:：\]}]")
_NEXT_KEY = re.compile(r"\"[^\"\\\n:{}\[\]]{1,40}\"\s*[:：]")
_CLOSING_QUOTE = {'"': '"', "'": "'", "“": "”"}
_UNTIL_QUOTE = {
    quote: re.compile(rf"[^{closing}\\]*(?:\\.[^{closing}\\]*)*", re.DOTALL)
    for quote, closing in _CLOSING_QUOTE.items()
}
_BARE_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)"')


@dataclass(frozen=True)
class Scalar:
    """A string, number or bare word, as text. `start` is the offset of its first character."""

    text: str
    start: int


@dataclass(frozen=True)
class Array:
    """The values between brackets. `closed` is False where the closing one was forgotten or cut off."""

    items: tuple["Value", ...]
    closed: bool = True


@dataclass(frozen=True)
class Object:
    """The pairs between braces, in order; a repeated key stays repeated. `closed` as an array's."""

    pairs: tuple[tuple[str, "Value"], ...]
    closed: bool = True


Value = Scalar | Array | Object


@dataclass(frozen=True)
class Block:
    """An outermost bracketed value of a text, from offset `start` up to `end`."""

    value: Array | Object
    start: int
    end: int


def find_blocks(text: str, start: int = 0) -> list[Block]:
    """Every outermost array and object of `text` from offset `start` on.

    What only looks like one is passed over. A text that asks for too many fruitless attempts is given
    up: the blocks found until then are returned.
    """
    reader = _Reader(text)
    blocks = []
    while opening := _OPENING.search(text, start):
        try:
            value, end = reader.read(opening.start(), depth=0)
        except _NotAValueError:
            start = opening.end()
        except _GivenUpError:
            break
        else:
            assert not isinstance(value, Scalar)
            blocks.append(Block(value, opening.start(), end))
            start = end
    return blocks


def ends_open(text: str, blocks: Sequence[Block]) -> bool:
    """Whether nothing follows the last block, which was not closed: it may have been cut off."""
    return bool(blocks) and not blocks[-1].value.closed and not text[blocks[-1].end :].strip()


class _NotAValueError(Exception):
    pass


class _GivenUpError(Exception):
    pass


class _Reader:
    """Recursive descent over one text. `read…` take an offset and return a value and the offset after it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._work_left = _WORK_PER_CHARACTER * len(text) + 1000

    def read(self, at: int, depth: int) -> tuple[Value, int]:
        opening = self._text[at : at + 1]
        if opening in ("[", "{"):
            self._account(_WORK_PER_BRACKET)
            if depth == _MAX_DEPTH:
                raise _NotAValueError
            return self._read_array(at + 1, depth) if opening == "[" else self._read_object(at + 1, depth)
        return self._read_scalar(at)

    def _read_scalar(self, at: int) -> tuple[Scalar, int]:
        if self._text[at : at + 1] in _UNTIL_QUOTE:
            return self._read_string(at)
        match = _WORD.match(self._text, at)
        self._account(1 + len(match[0]) if match else 1)
        if match is None:
            raise _NotAValueError
        return Scalar(match[0], at), match.end()

    def _read_string(self, at: int) -> tuple[Scalar, int]:
        until_quote = _UNTIL_QUOTE[self._text[at]]
        end = at + 1
        while True:
            begin, end = end, _end(until_quote, self._text, end)
            self._account(1 + end - begin)
            if end >= len(self._text) or self._text[end] == "\\":
                raise _NotAValueError
            if self._ends_string(end + 1):
                return Scalar(_unescaped(self._text[at + 1 : end]), at + 1), end + 1
            end += 1

    def _ends_string(self, at: int) -> bool:
        """Whether a quote just before `at` closes its string; any other one is part of the string's text."""
        after = _end(_SPACE, self._text, at)
        self._account(1 + after - at)
        following = self._text[after : after + 1]
        if following in (",", "，"):
            after = _end(_SPACE, self._text, after + 1)
            following = self._text[after : after + 1]
            return following in ("", *"\"'“[{]}") or _LAST_WORD.match(self._text, after) is not None
        if following in ("", *":：]}"):
            return True
        if following == '"' and _NEXT_KEY.match(self._text, after) is not None:
            return True  # a forgotten comma before the next key
        # On the next line: a forgotten comma, or the text after a forgotten bracket.
        return following in "\"'{<`" and self._text.find("\n", at, after) >= 0

    def _read_array(self, at: int, depth: int) -> tuple[Array, int]:
        items: list[Value] = []
        while True:
            at = self._skip_separators(at)
            if self._text[at : at + 1] == "]":
                return Array(tuple(items)), at + 1
            try:
                item, at = self.read(at, depth + 1)
            except _NotAValueError:
                if not items:
                    raise
                return Array(tuple(items), closed=False), at
            items.append(item)

    def _read_object(self, at: int, depth: int) -> tuple[Object, int]:
        pairs: list[tuple[str, Value]] = []
        while True:
            at = self._skip_separators(at)
            if self._text[at : at + 1] == "}":
                return Object(tuple(pairs)), at + 1
            try:
                pair, at = self._read_pair(at, depth)
            except _NotAValueError:
                if not pairs:
                    raise
                return Object(tuple(pairs), closed=False), at
            pairs.append(pair)

    def _read_pair(self, at: int, depth: int) -> tuple[tuple[str, Value], int]:
        key, at = self._read_scalar(at)
        at = _end(_SPACE, self._text, at)
        if self._text[at : at + 1] not in (":", "："):
            raise _NotAValueError
        value, at = self.read(_end(_SPACE, self._text, at + 1), depth + 1)
        return (key.text, value), at

    def _skip_separators(self, at: int) -> int:
        after = _end(_SEPARATORS, self._text, at)
        self._account(1 + after - at)
        return after

    def _account(self, characters: int) -> None:
        self._work_left -= characters
        if self._work_left < 0:
            raise _GivenUpError


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a pattern that matches everywhere, if need be nothing, ends."""
    match = pattern.match(text, at)
    assert match is not None
    return match.end()


def _unescaped(raw: str) -> str:
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads('"' + _BARE_QUOTE.sub(r'\1\\"', raw) + '"', strict=False))
    except ValueError:  # an escape that JSON does not know, such as \' or \d: the text as it stands
        return raw.replace('\\"', '"').replace("\\'", "'")
