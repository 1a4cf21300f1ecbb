"""Single edits as the dialects send them, and the group calls they make. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edit_rrm.wire import MAX_CANDIDATES, ImageRef, ScoreRequest
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.http.problems import KINDS, refusal_of

MAX_EDITS = 4096
"""Of one call: a body of a megabyte could hold a hundred thousand."""
# Statuses of what trying again may mend; the caller's own going away needs no answer.
_PASSING_STATUSES = frozenset({408, 429, 499, 503, 504})


@dataclass(frozen=True)
class Item:
    """One edit of one source or several, in order; its images are base64 texts."""

    instruction: str
    sources: tuple[str, ...]
    edited: str
    guards: str = "null"
    """What the call says of guards, as JSON: a word for all, words by name, or null."""


@dataclass(frozen=True)
class Group:
    """The items of the same sources and instruction, by their places, and the call that scores them."""

    places: tuple[int, ...]
    request: ScoreRequest


def groups_of(items: Sequence[Item]) -> list[Group]:
    """The groups, in the order of their first items; one larger than a call may be is cut.

    Raises RequestRefusedError (invalid_request) that names an item whose fields are wrong.
    """
    members: dict[tuple[str, tuple[str, ...], str], list[int]] = {}
    for place, item in enumerate(items):
        members.setdefault((item.instruction, item.sources, item.guards), []).append(place)
    groups = []
    for places in members.values():
        for start in range(0, len(places), MAX_CANDIDATES):
            part = tuple(places[start : start + MAX_CANDIDATES])
            groups.append(Group(part, _request([items[place] for place in part], part[0])))
    return groups


def guards_in(extras: Mapping[str, Any] | None) -> str:
    """`Item.guards` from what a trainer lets its users send along, under the name `guards`."""
    return json.dumps((extras or {}).get("guards"), sort_keys=True)


def may_pass(code: str) -> bool:
    """Whether the same request may succeed later; a dialect answers that by the status, as /v1 does."""
    return KINDS[code].status in _PASSING_STATUSES


def _request(items: Sequence[Item], place: int) -> ScoreRequest:
    try:
        sources = [ImageRef(b64=source) for source in items[0].sources]
        return ScoreRequest(
            instruction=items[0].instruction,
            source=sources[0] if len(sources) == 1 else None,
            sources=sources if len(sources) != 1 else None,
            candidates=[ImageRef(b64=item.edited) for item in items],
            guards=json.loads(items[0].guards),
        )
    except ValidationError as error:
        refusal = refusal_of(error)
        raise RequestRefusedError(refusal.code, f"item {place}: {refusal.detail}") from None
