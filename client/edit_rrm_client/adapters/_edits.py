"""Edits as a trainer hands them over, and their groups: one call for the sources and an instruction.

A group is told by content or by the trainer's own id, never by a decoded prompt alone: two edits of
different images may share an instruction. An edit that cannot be sent fails alone.
"""

from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from edit_rrm.untrusted_text import visible
from edit_rrm.wire import MAX_CANDIDATES, MAX_SOURCES
from edit_rrm_client._images import Encoding, encode_image
from edit_rrm_client.adapters._media import image_input
from edit_rrm_client.adapters._outcomes import Failed, not_edited
from edit_rrm_client.errors import InvalidImageError, InvalidRequestError

_ENCODERS = 4


@dataclass(frozen=True)
class Edit:
    """One edited image to score, its images as the trainer has them (`image_input`).

    `source` is an image, or a list of several. `edited` is None where the editor made none: it has no reward.
    """

    instruction: Any
    source: Any
    edited: Any
    group: Hashable | None = None
    """The trainer's id of the group, where it has one."""
    source_name: str = ""
    edited_name: str = ""
    """What errors call the images; their place in the batch where nothing is said."""


@dataclass(frozen=True)
class Group:
    """Edits of the same sources and instruction: their places in the batch, and their images as files."""

    instruction: str
    sources: tuple[bytes, ...]
    places: tuple[int, ...]
    edited: tuple[bytes, ...]


@dataclass(frozen=True)
class Batch:
    """The groups, in the order of their first edits, and the edits that are in none, by place."""

    groups: Sequence[Group]
    failed: dict[int, Failed]


def batch_of(edits: Sequence[Edit], encoding: Encoding) -> Batch:
    """Edits as calls; a group larger than a call may be is cut.

    Images become files here, so that equal sources are known by their bytes; of edits with a group id only
    the first one's sources are read. Raises InvalidRequestError for edits that share an id and not the
    instruction: then the id is none.
    """
    files = _Files(encoding)
    with ThreadPoolExecutor(_ENCODERS) as pool:
        edited = list(pool.map(lambda pair: _edited(pair[1], pair[0], files), enumerate(edits)))
    failed: dict[int, Failed] = {}
    members: dict[Hashable, list[int]] = {}
    sources: dict[Hashable, tuple[bytes, ...]] = {}
    for place, (edit, candidate) in enumerate(zip(edits, edited, strict=True)):
        if isinstance(candidate, Failed):
            failed[place] = candidate
            continue
        key: Hashable = ("id", edit.group)
        try:
            instruction = _instruction(edit.instruction, place)
            if edit.group is None or key not in sources:
                found = _sources(edit, place, files)
                key = (instruction, found) if edit.group is None else key
                sources[key] = found
        except InvalidRequestError as error:
            failed[place] = Failed(error)
            continue
        members.setdefault(key, []).append(place)
    groups = []
    for key, places in members.items():
        first = edits[places[0]]
        other = next((place for place in places if edits[place].instruction != first.instruction), None)
        if other is not None:
            raise InvalidRequestError(
                f"edits {places[0]} and {other} have the group id {first.group!r} and different instructions"
            )
        for start in range(0, len(places), MAX_CANDIDATES):
            part = tuple(places[start : start + MAX_CANDIDATES])
            candidates = tuple(file for place in part if isinstance(file := edited[place], bytes))
            groups.append(Group(first.instruction, sources[key], part, candidates))
    return Batch(groups, failed)


def same_length(**columns: Sequence[object]) -> int:
    """The length the columns share. Raises InvalidRequestError that names two which differ."""
    (first, values), *others = columns.items()
    for name, other in others:
        if len(other) != len(values):
            raise InvalidRequestError(f"expected as many {name} as {first} ({len(values)}), got {len(other)}")
    return len(values)


class _Files:
    """Images as files, each object once: a batch repeats one object rather than its content."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._known: dict[int, bytes] = {}

    def of(self, image: Any, name: str) -> bytes:
        """Raises InvalidImageError."""
        if id(image) not in self._known:
            self._known[id(image)] = encode_image(image_input(image, name), name, self._encoding).data
        return self._known[id(image)]


def _edited(edit: Edit, place: int, files: _Files) -> bytes | Failed:
    if edit.edited is None:
        return not_edited(place)
    try:
        return files.of(edit.edited, edit.edited_name or f"edited image of edit {place}")
    except InvalidImageError as error:
        return Failed(error)


def _sources(edit: Edit, place: int, files: _Files) -> tuple[bytes, ...]:
    """Raises InvalidRequestError for none, or more than a request takes, and InvalidImageError."""
    name = edit.source_name or f"source of edit {place}"
    images = list(edit.source) if isinstance(edit.source, list | tuple) else [edit.source]
    if not 1 <= len(images) <= MAX_SOURCES:
        raise InvalidRequestError(f"{name}: expected 1 to {MAX_SOURCES} source images, got {len(images)}")
    if len(images) == 1:
        return (files.of(images[0], name),)
    return tuple(files.of(image, f"{name}[{number}]") for number, image in enumerate(images))


def _instruction(instruction: Any, place: int) -> str:
    """Raises InvalidRequestError."""
    if not isinstance(instruction, str):
        kind = type(instruction).__name__
        raise InvalidRequestError(f"instruction of edit {place}: expected a text, got {kind}")
    try:
        return visible(instruction)
    except ValueError as error:
        raise InvalidRequestError(f"instruction of edit {place}: {error}") from error
