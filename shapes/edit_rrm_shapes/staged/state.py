"""What is known of a stage on disk: whether it is done, with which settings, how long it took; and its lock.

The lock lies with the operating system, so that a killed process leaves none behind. It knows nothing of what
a stage does.
"""

import fcntl
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from edit_rrm.whole_files import write_whole
from edit_rrm_shapes.errors import StageError

_BEAT_S = 5.0


class StageRecord(BaseModel):
    """`stages/NAME.json`. Times are sums over all runs; a killed run counts up to its last beat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    settings: dict[str, Any]
    done: bool = False
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """Of this process and those it has waited for."""
    runs: int = 0
    origin: str | None = None
    """What ran it, where that was not this stage of this plan."""


class StageStates:
    """The records and locks of a reproduction in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "stages"
        self._logs = directory / "logs"

    def log(self, name: str) -> Path:
        """Where the stage's output goes."""
        return self._logs / f"{name}.log"

    def read(self, name: str) -> StageRecord | None:
        """None for a stage that was never begun."""
        try:
            return StageRecord.model_validate_json(self._file(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def is_done(self, name: str) -> bool:
        """Whether the stage came to its end."""
        record = self.read(name)
        return record is not None and record.done

    @contextmanager
    def locked(self, name: str) -> Iterator[int | None]:
        """Holds the stage, and gives the lock's descriptor; None where another process has it.

        A process that inherits the descriptor holds the stage too, also after this one is gone.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._file(name).with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            yield lock.fileno()

    def is_running(self, name: str) -> bool:
        """Whether a process holds the stage now."""
        if not self._file(name).with_suffix(".lock").exists():
            return False
        with self.locked(name) as lock:
            return lock is None

    def check_settings(self, record: StageRecord, settings: dict[str, Any]) -> None:
        """Raises StageError when the stage was begun with others, naming them: its outputs are theirs."""
        names = {*record.settings, *settings}
        if changed := sorted(name for name in names if record.settings.get(name) != settings.get(name)):
            raise StageError(
                f"{record.stage} was begun with other values of {', '.join(changed)}; remove its folder and "
                f"{self._file(record.stage)} to run it anew"
            )

    def adopt(self, record: StageRecord) -> None:
        """Takes the record of a stage that was run elsewhere as this directory's own."""
        self._write(record)

    def forget(self, name: str) -> None:
        """Has the stage run again, its times from nothing."""
        self._file(name).unlink(missing_ok=True)

    @contextmanager
    def timed(self, name: str, settings: dict[str, Any]) -> Iterator[None]:
        """Records a run of the stage, and that it is done when the block ends without an error.

        Raises StageError when the stage was begun with other settings.
        """
        before = self.read(name) or StageRecord(stage=name, settings=settings)
        self.check_settings(before, settings)
        clock = _Clock()
        ended = threading.Event()

        def record(done: bool = False) -> None:
            wall_s, cpu_s = clock.read()
            self._write(before.model_copy(update={
                "done": done, "runs": before.runs + 1,
                "wall_s": round(before.wall_s + wall_s, 1), "cpu_s": round(before.cpu_s + cpu_s, 1),
            }))  # fmt: skip

        def beat() -> None:
            while not ended.wait(_BEAT_S):
                record()

        record()
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        done = False
        try:
            yield
            done = True
        finally:
            ended.set()
            thread.join()
            record(done)

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.json"

    def _write(self, record: StageRecord) -> None:
        write_whole(self._file(record.stage), record.model_dump_json(indent=2) + "\n")


class _Clock:
    """Seconds since it was made, of the wall and of the processor."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.monotonic(), self._used_s()

    def read(self) -> tuple[float, float]:
        return time.monotonic() - self._wall_s, self._used_s() - self._cpu_s

    @staticmethod
    def _used_s() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)
