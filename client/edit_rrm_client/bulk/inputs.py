"""An input: rows that can be read again and again, always the same ones, each with a key of its own."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.input_row import InputRow, RowProblem
from edit_rrm_client.bulk.input_rows import COLUMNS, Places, checked_rows
from edit_rrm_client.bulk.keys import KeySet
from edit_rrm_client.bulk.layouts import Layout, open_layout
from edit_rrm_client.bulk.records import Records, open_records
from edit_rrm_client.bulk.required_columns import SCORED, require_columns


@dataclass(frozen=True)
class BulkInput:
    """An input whose rows can be read again and again, always the same ones with the same keys."""

    records: Records
    results_folder: Path
    """Where the results will lie: rows name their files from there."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """What the input calls a column, by this package's name for it."""

    @property
    def file(self) -> Path:
        """The file that row numbers count in."""
        return self.records.file

    def digest(self) -> str:
        """Of everything that decides keys and questions, the images' content excepted."""
        names = repr(sorted(self.renamed.items())) if self.renamed else ""
        return hashlib.sha256((self.records.digest() + names).encode()).hexdigest()[:16]

    def count(self) -> int:
        """How many rows there are, good and bad."""
        return self.records.count()

    def rows(self) -> Iterator[InputRow]:
        """Every row, in the input's order. A repeated key is a problem, and its row gets another one."""
        seen = KeySet()
        places = Places(self.file.absolute().parent, self.results_folder, self.renamed)
        try:
            for row in checked_rows(self.records.read(), places):
                if not seen.add(row.key):
                    row = _renamed(row, seen)
                yield row
        finally:
            seen.close()


def open_input(
    path: Path,
    results_folder: Path,
    renamed: Mapping[str, str] | None = None,
    encoding: str | None = None,
    *,
    layout: Layout | None = None,
    edits: Path | None = None,
    originals: Path | None = None,
) -> BulkInput:
    """The input at `path`; `encoding` is that of a CSV file, found where it is not given.

    `layout`: it is a public benchmark's, with its `edits` and `originals` where that has them apart.
    Raises InputError when no row of it could be scored, for want of a column.
    """
    renamed = dict(renamed or {})
    unknown = sorted(renamed.keys() - set(COLUMNS))
    if unknown:
        raise InputError(f"there is no column {unknown[0]!r} to rename; columns: {', '.join(COLUMNS)}")
    if layout is not None:
        records = open_layout(path, layout, edits, originals)
    elif edits is not None or originals is not None:
        raise InputError("--edits and --originals need --layout")
    else:
        records = open_records(path, encoding)
    found = BulkInput(records, results_folder.absolute(), renamed)
    require_columns(records, SCORED, renamed)
    return found


def _renamed(row: InputRow, seen: KeySet) -> InputRow:
    """The row under a key of its own, refused: the first with the key keeps it."""
    key = f"{row.key}#{row.row}"
    while not seen.add(key):
        key += "#"
    problem = RowProblem(
        field="key",
        code="duplicate_key",
        detail=f"an earlier row has the key {row.key!r}; number the rows in a column `candidate`, "
        "name them in a column `key`, or put the rows of an edit one after another",
    )
    return row.model_copy(update={"key": key, "problem": problem})
