"""Rows of a folder that Hugging Face's `Dataset.save_to_disk` wrote, memory-mapped, its images undecoded.

Such a folder is named by the file that marks it (`MARK`): what is relative to the file is relative to the
folder, as with every other file of rows.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edit_rrm_training.errors import RowError

MARK = "state.json"
SPLITS = "dataset_dict.json"


def arrow_rows(mark: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row's number, from 1, and its content. Raises RowError for a folder that does not load."""
    datasets: Any = importlib.import_module("datasets")
    try:
        stored = datasets.load_from_disk(str(mark.parent))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RowError(mark, 0, "", f"not a dataset on disk: {error}") from error
    number = 0
    for table in stored.with_format("arrow").iter(batch_size=16):
        for content in table.to_pylist():
            number += 1
            yield number, content
