"""What can be told of JSON before it is parsed: how much there is of it, how deep, and no field twice.

A parser makes objects and errors of every value, and of a field given twice it takes one. So a body is looked
at first, at the speed at which its strings can be passed over. Whether it is JSON is the parser's to say.
"""

import json
import re
from dataclasses import dataclass

from edit_rrm_server.errors import RequestRefusedError

_MARK = re.compile(rb"[\[\]{},:]")
_LONGEST_NAME = 1000


@dataclass(frozen=True)
class JsonBounds:
    """How much a body may hold outside its strings, and how many quotes there may be in all."""

    marks: int
    """Brackets, commas and colons outside strings: a value costs one or two."""
    quotes: int
    """Those that are escaped within strings included."""
    outside_bytes: int
    """Of everything outside strings: numbers, and the white space of indentation."""
    depth: int = 64


ONE_EDIT = JsonBounds(marks=4096, quotes=100_000, outside_bytes=2**18)
"""A request of /v1: at its largest 64 candidates and 32 questions, whose every character may be a quote."""
BATCH_OF_EDITS = JsonBounds(marks=2**18, quotes=2**19, outside_bytes=2**24)
"""A batch of a trainer's: some ten thousand edits, and what the trainer adds."""


def check_json(text: bytes, bounds: JsonBounds) -> None:
    """Raises RequestRefusedError: malformed_json for what is too deep, invalid_request for the rest."""
    if text.count(b'"') > bounds.quotes:
        raise _refusal(f"the JSON has more than {bounds.quotes} quotes")
    open_objects: list[set[bytes] | None] = []  # the names so far of each that is open; None for a list
    marks = outside = at = 0
    last = b""  # the string just passed, while nothing but white space has come after it
    while True:
        quote = text.find(b'"', at)
        ends = len(text) if quote < 0 else quote
        outside += ends - at
        if outside > bounds.outside_bytes:
            raise _refusal(f"the JSON has more than {bounds.outside_bytes} bytes outside its strings")
        for mark in _MARK.finditer(text, at, ends):
            marks += 1
            if marks > bounds.marks:
                raise _refusal(f"the JSON has more than {bounds.marks} brackets, commas and colons")
            _pass(mark[0], last, open_objects, bounds.depth)
            last = b""
        if quote < 0:
            return
        at = _end_of_string(text, quote)
        last = text[quote:at]


def _pass(mark: bytes, last: bytes, open_objects: list[set[bytes] | None], depth: int) -> None:
    if mark in b"{[":
        if len(open_objects) == depth:
            raise RequestRefusedError("malformed_json", f"the JSON is nested deeper than {depth}")
        open_objects.append(set() if mark == b"{" else None)
    elif mark in b"}]":
        del open_objects[-1:]
    elif mark == b":" and last and open_objects:
        names = open_objects[-1]
        if names is None:
            return  # no JSON
        name = _unescaped(last)
        if name in names:
            raise _refusal(f"{_shown(name)}: the field is given twice")
        names.add(name)


def _end_of_string(text: bytes, quote: int) -> int:
    """Where the string that opens with that quote is over: behind its closing quote, or at the text's end."""
    closing = text.find(b'"', quote + 1)
    while closing >= 0 and _is_escaped(text, quote, closing):
        closing = text.find(b'"', closing + 1)
    return len(text) if closing < 0 else closing + 1


def _is_escaped(text: bytes, start: int, quote: int) -> bool:
    """Whether an odd number of backslashes stands before a quote; `start` is before them all."""
    size = 64
    while True:
        before = text[max(start, quote - size) : quote]
        run = len(before) - len(before.rstrip(b"\\"))
        if run < len(before):
            return run % 2 == 1
        size *= 4


def _unescaped(written: bytes) -> bytes:
    """A name as a parser reads it, from how it is written with its quotes; one that no field has as it is."""
    if b"\\" not in written or len(written) > _LONGEST_NAME:
        return written
    try:
        return json.dumps(json.loads(written), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except ValueError:
        return written


def _shown(name: bytes) -> str:
    return name[1:-1][:64].decode("utf-8", "replace")


def _refusal(detail: str) -> RequestRefusedError:
    return RequestRefusedError("invalid_request", detail)
