"""What a row of data must hold for a judge to take it: the bounds of a request (edit_rrm/wire.py).

Checked where a file is read, so that the message names file and row, and nothing judged before it is lost.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from edit_rrm.principles import Principle
from edit_rrm.wire import MAX_PRINCIPLES


def _distinct(principles: tuple[Principle, ...]) -> tuple[Principle, ...]:
    ids = [principle.id for principle in principles]
    if repeated := sorted({one for one in ids if ids.count(one) > 1}):
        raise ValueError(f"two principles have the id {repeated[0]!r}")
    return principles


Principles = Annotated[
    tuple[Principle, ...], Field(min_length=1, max_length=MAX_PRINCIPLES), AfterValidator(_distinct)
]


def _with_ids(given: Any) -> Any:
    if not isinstance(given, list | tuple):
        return given
    return [
        {**each, "id": f"p{number}"} if isinstance(each, dict) and each.get("id") is None else each
        for number, each in enumerate(given, start=1)
    ]


NumberedPrinciples = Annotated[Principles, BeforeValidator(_with_ids)]
"""Principles of which those without an id get p1, p2, …"""
