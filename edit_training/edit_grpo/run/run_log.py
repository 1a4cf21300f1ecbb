"""log.jsonl, TensorBoard and the terminal: one line an update, one an event. Only the first process writes.

A resumed run first drops the lines of updates that it will do again, so that every update stands once.
"""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from edit_rrm.whole_files import write_whole
from edit_rrm_client.tables import printable

FILE_NAME = "log.jsonl"
_SHOWN = (
    ("reward", "reward/mean", ".3f"),
    ("±", "reward/group_std", ".3f"),
    ("failed", "reward/failed", ".0f"),
    ("skipped", "groups/skipped", ".0f"),
    ("kl", "update/kl", ".2g"),
    ("clipped", "update/clipped", ".0%"),
    ("grad", "update/grad_norm", ".2g"),
    ("sampling", "seconds/sampling", ".1fs"),
    ("waiting", "seconds/waiting", ".1fs"),
    ("updating", "seconds/updating", ".1fs"),
)


class RunLog:
    """Writes a run's log. Safe to use from the thread that scores."""

    def __init__(self, out: Path, done: int, updates: int, *, console: Console | None = None) -> None:
        self._done, self._updates = done, updates
        self._console = console or Console()
        self._lock = threading.Lock()
        path = out / FILE_NAME
        _drop_after(path, done)
        self._file = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=done + 1)

    def update(self, number: int, numbers: Mapping[str, float]) -> None:
        """The numbers of update number `number`, from 1."""
        self._done = number
        self._write({"update": number, **numbers})
        for name, value in numbers.items():
            self._board.add_scalar(name, value, number)
        self._board.flush()
        self._console.print(line_of(number, self._updates, numbers), highlight=False, soft_wrap=True)

    def event(self, kind: str, text: str) -> None:
        """Something that happened after the last update: waiting, saved, stopped, …"""
        self._write({"update": self._done, "event": kind, "text": text})
        self._console.print(f"{kind}: {printable(text)}", markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Ends both files."""
        self._file.close()
        self._board.close()

    def _write(self, values: Mapping[str, Any]) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **values})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


def line_of(number: int, updates: int, numbers: Mapping[str, float]) -> str:
    """An update on the terminal: what is there of what is shown."""
    skipped = numbers.get("groups/skipped_failures", 0.0) + numbers.get("groups/skipped_zero_variance", 0.0)
    known = {**numbers, "groups/skipped": skipped}
    words = []
    for label, name, form in _SHOWN:
        if name in known:
            unit = "s" if form.endswith("s") else ""
            words.append(f"{label} {known[name]:{form.removesuffix('s')}}{unit}")
    return f"{number} of {updates}: {'  '.join(words)}"


def _drop_after(path: Path, done: int) -> None:
    """Rewrites the log without lines of later updates, and without a last line that was cut off."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            number = json.loads(line)["update"]
        except (ValueError, KeyError):
            continue
        if number <= done:
            kept.append(line + "\n")
    write_whole(path, "".join(kept))  # a kill meanwhile must not cost the curve
