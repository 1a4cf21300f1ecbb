"""Edit sets: what the editor is asked for. Reads rows, opens sources, and says whose turn an edit is.

Knows nothing of policies and rewards. The order is a function of seed and update alone, so a run
resumes, and shards over processes, without any state.
"""

import codecs
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edit_grpo.errors import EditRowError
from edit_rrm.errors import ImageError
from edit_rrm.images import EditImage
from edit_rrm.row_ids import RowId
from edit_rrm.wire import MAX_SOURCES
from edit_rrm_client import Principle


class EditRow(BaseModel):
    """A line of an edit set. Other keys, as in the shapes world's edits.jsonl, are left unread."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: RowId
    source: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="an image file, relative to the edit set"
    )
    sources: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SOURCES,
        description="in place of `source`: several, in the order in which the instruction counts them",
    )
    instruction: str = Field(min_length=1, max_length=4000, pattern=r"\S")
    category: str | None = None
    principles: tuple[Principle, ...] | None = None

    @model_validator(mode="after")
    def _source_or_sources(self) -> Self:
        if (self.source is None) == (self.sources is None):
            raise ValueError("an edit needs exactly one of 'source' and 'sources'")
        return self


@dataclass(frozen=True)
class Edit:
    """One edit that is asked for."""

    id: str
    sources: tuple[Path, ...]
    instruction: str
    category: str
    principles: tuple[Principle, ...] | None

    def pictures(self) -> tuple[Image.Image, ...]:
        """The sources as the service sees them: upright, RGB, on white. Raises EditRowError."""
        return tuple(self._picture(source) for source in self.sources)

    def _picture(self, source: Path) -> Image.Image:
        try:
            with Image.open(source) as opened:
                return EditImage.from_pil(opened).image
        except (OSError, ImageError, Image.DecompressionBombError) as error:
            raise EditRowError(source, 0, f"the source of edit {self.id} cannot be read: {error}") from error


def read_edits(paths: Iterable[Path]) -> list[Edit]:
    """The edits of all files, in order. Raises EditRowError for the first row that is wrong."""
    edits: dict[str, Edit] = {}
    for path in paths:
        try:
            lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
        except OSError as error:
            raise EditRowError(path, 0, f"cannot be read: {error}") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            edit = _edit(path, number, line)
            if edit.id in edits:
                raise EditRowError(path, number, f"the id {edit.id!r} stands in an earlier row, too")
            edits[edit.id] = edit
    if not edits:
        raise EditRowError(next(iter(paths), Path()), 0, "holds no edit")
    return list(edits.values())


def _edit(path: Path, number: int, line: bytes) -> Edit:
    try:
        row = EditRow.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise EditRowError(
            path, number, f"field {field!r}: {first['msg']}" if field else first["msg"]
        ) from error
    names = (row.source,) if row.source is not None else row.sources or ()
    sources = tuple(path.parent / name for name in names)
    for source in sources:
        if not source.is_file():
            raise EditRowError(path, number, f"its source {source} is not a file")
    return Edit(row.id, sources, row.instruction, row.category or "all", row.principles)


class EditOrder:
    """Which edits the groups of an update are about: every edit once in each epoch, newly shuffled."""

    def __init__(self, edits: Sequence[Edit], groups: int, seed: int) -> None:
        self._edits, self._groups, self._seed = edits, groups, seed
        self._epoch = -1
        self._order: list[int] = []

    def __call__(self, update: int, group: int) -> Edit:
        """The edit of group number `group` of update number `update`, both from 0."""
        epoch, place = divmod(update * self._groups + group, len(self._edits))
        if epoch != self._epoch:
            self._order = list(range(len(self._edits)))
            random.Random(f"edits-{self._seed}-{epoch}").shuffle(self._order)
            self._epoch = epoch
        return self._edits[self._order[place]]


def groups_of_process(groups: int, process: int, processes: int) -> range:
    """The groups of an update that are this process's: every `processes`-th, from its own number on."""
    return range(process, groups, processes)
