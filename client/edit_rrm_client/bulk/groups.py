"""Groups: the candidates of the same sources and instruction that go to the service in one call. Pure."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edit_rrm.wire import MAX_CANDIDATES
from edit_rrm_client.bulk.input_row import InputRow

GROUP_BYTES = 64 * 2**20  # a call's images stay well below what the service takes in one body


class Group(BaseModel):
    """Rows without a problem that share sources and instruction."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[InputRow, ...]


def grouped(
    rows: Iterable[InputRow], most: int = MAX_CANDIDATES, most_bytes: int = GROUP_BYTES
) -> Iterator[Group]:
    """Neighbouring rows that share sources and instruction, at most `most` and `most_bytes` a group.

    Only neighbours are grouped, so that nothing is held but one group.
    """
    members: list[InputRow] = []
    held_bytes = 0
    for row in rows:
        row_bytes = _image_bytes(row.edited_file, row.edited_image)
        full = len(members) >= most or held_bytes + row_bytes > most_bytes
        if members and (full or not _same_edit(members[0], row)):
            yield Group(rows=tuple(members))
            members, held_bytes = [], 0
        members.append(row)
        held_bytes += row_bytes
    if members:
        yield Group(rows=tuple(members))


def _same_edit(first: InputRow, second: InputRow) -> bool:
    return first.instruction == second.instruction and first.sources == second.sources


def _image_bytes(file: str | None, data: bytes | None) -> int:
    if data is not None:
        return len(data)
    try:
        return Path(file or "").stat().st_size
    except OSError:  # gone since it was looked for: asking will say so
        return 0
