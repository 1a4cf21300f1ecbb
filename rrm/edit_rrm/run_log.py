"""`RunLog`: the log of a training run, a line a step, and what boards show of it.

A run that is taken up again first drops the lines of steps it will do once more, and a last line that a kill
left half written, so that every step stands once and the file is the curve.
"""

import json
import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from edit_rrm.boards import Board, Table
from edit_rrm.whole_files import write_whole

FILE_NAME = "log.jsonl"


class RunLog:
    """Appends to `file`. `key` names a line's step, `last` is the step whose state the run goes on from.

    Safe to use from several threads.
    """

    def __init__(self, file: Path, *, last: int, key: str = "step", boards: Sequence[Board] = ()) -> None:
        self._key, self._boards = key, boards
        self._lock = threading.Lock()
        if file.exists():
            write_whole(file, "".join(_kept(file.read_text(encoding="utf-8"), key, last)))
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("a", encoding="utf-8")

    def numbers(self, step: int, values: Mapping[str, Any], **facts: Any) -> dict[str, float]:
        """A line, and a point a curve, of the finite numbers, which it returns. `facts` have no curve."""
        finite = {
            name: value
            for name, value in values.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        self.line({**facts, self._key: step, **finite})
        for board in self._boards:
            board.numbers(step, finite)
        return finite

    def picture(self, step: int, name: str, image: Image.Image) -> None:
        """A picture on every board; none in the file."""
        for board in self._boards:
            board.picture(step, name, image)

    def table(self, step: int, name: str, table: Table) -> None:
        """A table on every board; none in the file."""
        for board in self._boards:
            board.table(step, name, table)

    def line(self, values: Mapping[str, Any]) -> None:
        """A line of any kind; without a step it stays until it is dropped with what surrounds it."""
        text = json.dumps(values)
        with self._lock:
            self._file.write(text + "\n")
            self._file.flush()

    def close(self, *, failed: bool = False) -> None:
        """Ends the file and the boards; `failed` says that an error ended the run."""
        self._file.close()
        for board in self._boards:
            board.close(failed=failed)


def _kept(text: str, key: str, last: int) -> list[str]:
    kept = []
    for line in text.splitlines(keepends=True):
        try:
            step = json.loads(line)[key]
        except (ValueError, KeyError, TypeError):
            continue
        if line.endswith("\n") and step <= last:
            kept.append(line)
    return kept
