"""What an editor is asked for after training: edit lists as bulk scoring reads them, without edited images.

It opens no picture before that is asked for, and knows neither editors nor where pictures go but by name.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from PIL import Image

from edit_grpo.errors import EditRowError
from edit_rrm.errors import ImageError
from edit_rrm.images import EditImage
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.input_row import InputImage, InputRow
from edit_rrm_client.bulk.input_rows import COLUMNS, Places, checked_rows
from edit_rrm_client.bulk.records import Records, open_records
from edit_rrm_client.bulk.required_columns import ASKED, require_columns

SHEET = "contact-sheet"
"""A picture of the output folder that is no edit's."""
_PLAIN = re.compile(r"[\w-][\w.-]{0,99}")


@dataclass(frozen=True, eq=False)
class AskedEdit:
    """One edit; `name` is the path of its picture below the output folder, without number and suffix."""

    file: Path
    row: int
    id: str
    name: str
    instruction: str
    category: str
    sources: tuple[Path | bytes, ...]
    """In order; none where they are not known, or were not asked for."""
    shown: tuple[str | None, ...] = (None,)
    """What the edits file calls each source; None: what the editor saw of it is kept and shown."""
    shown_copy: bytes | None = None
    """The file that is to lie at the first of `shown`, where a benchmark wants it beside the picture."""
    columns: Mapping[str, str | bool] = field(default_factory=dict)
    """The benchmark's own, which its table is made by."""
    as_published: bool = False
    """Whether the edits file shows the source as it was published, whatever the editor saw of it."""
    judged_by_kind: bool = False
    """Whether its benchmark has a judge for each category."""
    problem: str | None = None
    """Why it cannot be carried out."""

    def pictures(self) -> tuple[Image.Image, ...]:
        """The sources as the service sees them: upright, RGB, on white. Raises EditRowError."""
        if self.problem is not None or not self.sources:
            raise EditRowError(self.file, self.row, self.problem or "it has no source")
        return tuple(map(self._picture, self.sources))

    def _picture(self, source: Path | bytes) -> Image.Image:
        try:
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
                return EditImage.from_pil(opened).image
        except (OSError, ImageError, Image.DecompressionBombError) as error:
            raise EditRowError(self.file, self.row, f"a source cannot be read: {error}") from error


class AskedEdits(Protocol):
    """Edits that can be read again and again, always the same ones."""

    def read(self, *, sources: bool = True) -> Iterator[AskedEdit]:
        """All edits in order; without `sources` those that are embedded are left out."""
        ...

    def digest(self) -> str:
        """Of the rows as written; not of pictures that they point to."""
        ...


@dataclass(frozen=True)
class EditList:
    """A .jsonl, .csv, .tsv or .parquet file with `instruction` and `source`, perhaps `id` and `category`.

    Rows that repeat an edit (a results file has one a candidate) are that edit once.
    """

    records: Records
    out: Path
    renamed: Mapping[str, str] = field(default_factory=dict)

    def read(self, *, sources: bool = True) -> Iterator[AskedEdit]:
        """See AskedEdits."""
        file = self.records.file
        places = Places(file.absolute().parent, self.out.absolute(), self.renamed)
        for row in checked_rows(self.records.read(), places, edited=False):
            yield _asked(file, row)

    def digest(self) -> str:
        """See AskedEdits."""
        return hashlib.sha256(f"{self.records.digest()} {sorted(self.renamed.items())}".encode()).hexdigest()


def open_edit_list(
    path: Path, out: Path, renamed: Mapping[str, str] | None = None, encoding: str | None = None
) -> EditList:
    """The edit list at `path`, or `edits.jsonl` in a folder; `renamed` says what it calls a column.

    Raises InputError where no row of it could be carried out.
    """
    renamed = dict(renamed or {})
    unknown = sorted(renamed.keys() - set(COLUMNS))
    if unknown:
        raise InputError(f"there is no column {unknown[0]!r} to rename; columns: {', '.join(COLUMNS)}")
    if path.is_dir() and not (path / "edits.jsonl").is_file():
        raise InputError(f"{path}: a folder of edits holds edits.jsonl")
    records = open_records(path / "edits.jsonl" if path.is_dir() else path, encoding)
    require_columns(records, ASKED, renamed)
    return EditList(records, out, renamed)


def file_name(text: str) -> str:
    """`text` as a file's name: itself where it is plain, else what is plain of it and a digest."""
    if _PLAIN.fullmatch(text):
        return text
    plain = re.sub(r"[^\w-]+", "_", text)[:80]
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _asked(file: Path, row: InputRow) -> AskedEdit:
    first = InputImage(path=row.source, file=row.source_file, image=row.source_image)
    images = (first, *row.more_sources)
    return AskedEdit(
        file=file,
        row=row.row,
        id=row.id or f"#{row.row}",
        name=file_name(row.id or f"#{row.row}"),
        instruction=row.instruction,
        category=row.category,
        sources=tuple(each.image if each.image is not None else Path(each.file or "") for each in images),
        shown=tuple(each.path if each.image is None else None for each in images),
        problem=f"{row.problem.field}: {row.problem.detail}" if row.problem else None,
    )


def picture_name(edit: AskedEdit, number: int) -> str:
    """The path of an edit's picture `number`, from 0, below the output folder, without its suffix."""
    return edit.name if number == 0 else f"{edit.name}-{number}"


def once(edits: Iterable[AskedEdit], per_edit: int = 1) -> Iterator[AskedEdit]:
    """Each edit once: a row that repeats one is left out; one with another's pictures gets a problem."""
    known = {SHEET: b""}
    for edit in edits:
        content = (edit.id, edit.instruction, edit.shown, edit.sources if None in edit.shown else ())
        mark = hashlib.sha256(repr(content).encode()).digest()[:16]
        if known.get(edit.name) == mark:
            continue
        names = [picture_name(edit, number) for number in range(per_edit)]
        taken = next((name for name in names if name in known), None)
        if taken is None:
            known.update(dict.fromkeys(names, mark))
            yield edit
        else:
            told = f"another picture is named {taken!r}; give this edit another id"
            yield edit if edit.problem else replace(edit, problem=told)
