"""Edits as a trainer hands them over, and their groups: one call for the sources and an instruction.

A group is told by content or by the trainer's own id, never by a decoded prompt alone: two edits of
different images may share an instruction.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import cast

from edit_rrm.wire import MAX_CANDIDATES
from edit_rrm_client._images import Encoding, ImageInput, SourceInput, encode_image
from edit_rrm_client.errors import InvalidRequestError


@dataclass(frozen=True)
class Edit:
    """One edited image to score. `edited` is None where the editor made none: it has no reward."""

    instruction: str
    source: SourceInput
    edited: "ImageInput | None"
    group: Hashable | None = None
    """The trainer's id of the group, where it has one."""


@dataclass(frozen=True)
class Group:
    """Edits of the same sources and instruction: their places in the batch, and the sources as files."""

    instruction: str
    sources: tuple[bytes, ...]
    places: tuple[int, ...]


def groups_of(edits: Sequence[Edit], encoding: Encoding) -> list[Group]:
    """The groups, in the order of their first edits; one larger than a call may be is cut.

    Sources become files here, so that equal ones are known by their bytes; of edits with a group id only
    the first one's is read. Raises InvalidImageError, and InvalidRequestError for edits that share an id
    and not the instruction.
    """
    files: dict[int, bytes] = {}

    def file_of(image: ImageInput, name: str) -> bytes:
        if id(image) not in files:  # a batch repeats one object rather than its content
            files[id(image)] = encode_image(image, name, encoding).data
        return files[id(image)]

    def source_files(place: int) -> tuple[bytes, ...]:
        source, name = edits[place].source, f"source of edit {place}"
        if isinstance(source, list | tuple):
            return tuple(file_of(image, f"{name}[{number}]") for number, image in enumerate(source))
        return (file_of(cast("ImageInput", source), name),)

    members: dict[Hashable, list[int]] = {}
    for place, edit in enumerate(edits):
        if edit.edited is None:
            continue
        key = (edit.instruction, source_files(place)) if edit.group is None else ("id", edit.group)
        members.setdefault(key, []).append(place)
    groups = []
    for places in members.values():
        first = edits[places[0]]
        other = next((place for place in places if edits[place].instruction != first.instruction), None)
        if other is not None:
            raise InvalidRequestError(
                f"edits {places[0]} and {other} have the group id {first.group!r} and different instructions"
            )
        for start in range(0, len(places), MAX_CANDIDATES):
            part = tuple(places[start : start + MAX_CANDIDATES])
            groups.append(Group(first.instruction, source_files(places[0]), part))
    return groups


def same_length(**columns: Sequence[object]) -> int:
    """The length the columns share. Raises InvalidRequestError that names two which differ."""
    (first, values), *others = columns.items()
    for name, other in others:
        if len(other) != len(values):
            raise InvalidRequestError(f"expected as many {name} as {first} ({len(values)}), got {len(other)}")
    return len(values)
