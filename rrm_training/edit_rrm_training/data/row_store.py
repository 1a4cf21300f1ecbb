"""SFT rows as a memory-mapped table: two million rows cost a process no more memory than two thousand.

Files are read once, row by row, and each row is checked; what passes is written as Arrow by Hugging Face's
`datasets`, which maps it into memory. So any row is found at once, an epoch is shuffled as a whole, a run
that goes on lands on the same rows, and all processes of a run read the same pages. Pictures stay where they
are; only those that stand in their rows (bytes) are copied.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value
from datasets.exceptions import DatasetGenerationError

from edit_rrm_training.data.jsonl import checked_rows
from edit_rrm_training.data.pictures import is_embedded
from edit_rrm_training.data.sft_rows import SftRow
from edit_rrm_training.data.shards import fingerprint
from edit_rrm_training.errors import RowError, TrainingError

Reader = Callable[[Path], Iterator[tuple[int, SftRow | RowError]]]
"""From a file to its rows, each with its number, from 1."""
OnBad = Callable[[RowError], None]

_FORMAT = "1"
_PICTURES = ("source", "candidate")
_FEATURES = {
    "row": Value("string"),  # JSON, without pictures that are bytes
    "source": Value("large_binary"),  # those
    "candidate": Value("large_binary"),
    "file": Value("string"),
    "number": Value("int64"),
    "task": Value("string"),
    "category": Value("string"),
    "edit": Value("int64"),  # SftRow.edit_key
    "key": Value("int64"),  # SftRow.row_key
}
_ROWS_A_BATCH = 1000
_EMBEDDED_ROWS_A_BATCH = 32
COUNTED = 100_000


def sft_rows_of(file: Path) -> Iterator[tuple[int, SftRow | RowError]]:
    """The reader of files of `SftRow`."""
    return checked_rows(file, SftRow)


def refuse(error: RowError) -> None:
    """Takes no bad row."""
    raise error


def store_rows(
    files: Sequence[Path],
    folder: Path,
    *,
    read: Reader = sft_rows_of,
    on_bad: OnBad = refuse,
    on_count: Callable[[int], None] = lambda count: None,
) -> Dataset:
    """The rows of all files, in their order, as a table in `folder`; one that is there is not made again.

    It is made anew when a file has changed; `read` and `on_bad` are to be the same for one `folder`. Every
    COUNTED rows `on_count` is told how many are read.
    Raises RowError where `on_bad` does, and when no row is left.
    """
    embedded = any(_has_embedded(file, read) for file in files)

    def generate() -> Iterator[dict[str, Any]]:
        count = 0
        for file in files:
            for number, row in read(file):
                if isinstance(row, RowError):
                    on_bad(row)
                    continue
                count += 1
                if count % COUNTED == 0:
                    on_count(count)
                yield _stored(row, file, number)
        if not count:
            raise RowError(files[0], 0, "", "the files hold no row")

    try:
        return Dataset.from_generator(
            generate,
            features=Features(_FEATURES),
            cache_dir=str(folder),
            fingerprint=fingerprint(files, _FORMAT),
            writer_batch_size=_EMBEDDED_ROWS_A_BATCH if embedded else _ROWS_A_BATCH,
        )
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, TrainingError | OSError):
            raise error.__cause__ from None
        raise


def row_at(stored: dict[str, Any]) -> tuple[SftRow, Path, int]:
    """A row of the table, the file it came from, and its number there. Relative paths start at the file."""
    row = SftRow.model_validate_json(stored["row"])
    given = {name: stored[name] for name in _PICTURES if stored[name] is not None}
    return row.model_copy(update=given), Path(stored["file"]), stored["number"]


def digest(stored: Dataset) -> str:
    """Changes with any row, and with their order; not with the folder they lie in."""
    found = hashlib.sha256()
    for chunk in stored.data.column("row").chunks:
        found.update("\n".join(chunk.to_pylist()).encode())
    return found.hexdigest()


def counts(stored: Dataset, column: str) -> dict[str, int]:
    """How many rows have each value of a column, by value; those without one count as ""."""
    return {
        each["values"] or "": each["counts"] for each in stored.data.column(column).value_counts().to_pylist()
    }


def _has_embedded(file: Path, read: Reader) -> bool:
    first = next((row for _, row in read(file) if isinstance(row, SftRow)), None)
    return first is not None and any(is_embedded(picture) for picture in first.pictures)


def _stored(row: SftRow, file: Path, number: int) -> dict[str, Any]:
    pictures = {name: getattr(row, name) for name in _PICTURES}
    inside = {name: picture for name, picture in pictures.items() if isinstance(picture, bytes)}
    return {
        **dict.fromkeys(_PICTURES, None),
        **inside,
        "row": row.model_copy(update=dict.fromkeys(inside, "")).model_dump_json(exclude_none=True),
        "file": str(file),
        "number": number,
        "task": row.task,
        "category": row.category,
        "edit": row.edit_key(file.parent),
        "key": row.row_key(file.parent),
    }
