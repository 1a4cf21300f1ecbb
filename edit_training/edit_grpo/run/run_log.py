"""log.jsonl, boards and the terminal: a line an update, one an event. Only the first process writes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from edit_rrm.boards import Board, TensorBoard
from edit_rrm.run_log import FILE_NAME, RunLog
from edit_rrm.time_left import TimeLeft
from edit_rrm_client.tables import printable

STEP = "update"
"""The axis of all curves."""
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


class UpdateLog:
    """Writes a run's log, to `boards` beside TensorBoard. Events are safe from the thread that scores."""

    def __init__(
        self,
        out: Path,
        done: int,
        updates: int,
        *,
        boards: Sequence[Board] = (),
        console: Console | None = None,
    ) -> None:
        self._done, self._updates = done, updates
        self._console = console or Console()
        self._left = TimeLeft(updates)
        curves = TensorBoard(SummaryWriter(str(out / "tensorboard"), purge_step=done + 1))
        self._log = RunLog(out / FILE_NAME, last=done, key=STEP, boards=[curves, *boards])

    def update(self, number: int, numbers: Mapping[str, float]) -> None:
        """The numbers of update number `number`, from 1."""
        self._done = number
        self._log.numbers(number, numbers, time=_now())
        line = line_of(number, self._updates, numbers) + self._left.after(number)
        self._console.print(line, highlight=False, soft_wrap=True)

    def event(self, kind: str, text: str) -> None:
        """Something that happened after the last update: waiting, saved, stopped, …"""
        self._log.line({"time": _now(), "update": self._done, "event": kind, "text": text})
        self._console.print(f"{kind}: {printable(text)}", markup=False, highlight=False, soft_wrap=True)

    def picture(self, name: str, image: Image.Image) -> None:
        """A picture of how things are after the last update."""
        self._log.picture(self._done, name, image)

    def close(self, *, failed: bool = False) -> None:
        """Ends file and boards; `failed` says that an error ended the run. Again, it does nothing."""
        self._log.close(failed=failed)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
