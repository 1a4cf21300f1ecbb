"""A job's groups asked for from a Ray cluster: a streaming dataset, mapped by actors that call over HTTP.

The groups still to be asked are spooled to small files beside the output, which Ray Data reads as it goes.
Results come back to this process, the only one that writes the journal, so resuming is the same as
without Ray. The cluster's machines must see the spool and the images under the same paths.
"""

import asyncio
import functools
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from edit_rrm_client.bulk.asking import ScoreSettings, ask
from edit_rrm_client.bulk.errors import MissingExtraError, ModelChangedError
from edit_rrm_client.bulk.groups import Group
from edit_rrm_client.bulk.job import Work
from edit_rrm_client.bulk.rows import ResultRow
from edit_rrm_client.bulk.services import Services, checked_model, served_model
from edit_rrm_client.bulk.window import score_groups
from edit_rrm_client.errors import EditRRMClientError, UnavailableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH_GROUPS = 64  # a spool file, and what a worker takes at once
BATCH_BYTES = 64 * 2**20
WORKER_CPUS = 0.5  # a worker mostly waits for answers
READER_CPUS = 0.25  # a whole one would never be free beside workers on small machines


class BatchOutcome(BaseModel):
    """What a worker made of a batch; `away` says why it did not finish it."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[ResultRow, ...]
    away: str | None = None
    model_changed: bool = False


def run_on_ray(
    work: Work,
    *,
    services: Services,
    settings: ScoreSettings,
    spool: Path,
    address: str | None,
    workers: int,
    on_kept: Callable[[Sequence[ResultRow]], None],
    on_stop: Callable[[], None],
) -> bool:
    """Asks for every group from `workers` actors; False when SIGINT or SIGTERM ended it before the last.

    A signal ends it between two batches; the batches that the workers still hold are asked for again
    when the job goes on. `on_kept` sees results once they are recorded, `on_stop` the first signal.
    Raises MissingExtraError without Ray, and what ends a job without Ray.
    """
    data = _ray_data(address)
    spool = spool.absolute()
    shutil.rmtree(spool, ignore_errors=True)
    try:
        if spool_groups(work.groups, spool) == 0:
            return True
        rrm = checked_model(work.rrm, asyncio.run(served_model(services, settings.model)))
        dataset = data.read_text(str(spool), file_extensions=["jsonl"], num_cpus=READER_CPUS).map_batches(
            ScoringWorker,
            fn_constructor_args=(services, settings, rrm),
            batch_size=None,
            batch_format="numpy",
            num_cpus=WORKER_CPUS,
            compute=data.ActorPoolStrategy(size=workers),
        )
        with _told_to_stop(on_stop) as stopped:
            for batch in dataset.iter_batches(batch_size=1, batch_format="numpy", prefetch_batches=0):
                outcome = BatchOutcome.model_validate_json(str(batch["outcome"][0]))
                work.keep(outcome.rows)
                on_kept(outcome.rows)
                if outcome.away is not None:
                    raise (ModelChangedError if outcome.model_changed else UnavailableError)(outcome.away)
                if stopped():
                    return False
        return True
    finally:
        shutil.rmtree(spool, ignore_errors=True)


class ScoringWorker:
    """One actor of the pool: scores the groups of a batch, several calls at once."""

    def __init__(self, services: Services, settings: ScoreSettings, rrm: str) -> None:
        self._services = services
        self._settings = settings
        self._rrm = rrm
        self._first = _worker_number()

    def __call__(self, batch: "dict[str, NDArray[np.object_]]") -> "dict[str, list[str]]":
        groups = [Group.model_validate_json(str(line)) for line in batch["text"]]
        return {"outcome": [asyncio.run(self._score(groups)).model_dump_json()]}

    async def _score(self, groups: Sequence[Group]) -> BatchOutcome:
        rows: list[ResultRow] = []
        try:
            async with self._services.client(self._first) as client:
                asking = functools.partial(ask, client, settings=self._settings, rrm=self._rrm)
                width = self._services.width
                await score_groups(iter(groups), asking, rows.extend, width=width, stop=asyncio.Event())
        except EditRRMClientError as error:  # as a value: an exception would cost the others their results
            changed = isinstance(error, ModelChangedError)
            return BatchOutcome(rows=tuple(rows), away=str(error), model_changed=changed)
        return BatchOutcome(rows=tuple(rows))


def spool_groups(groups: Iterator[Group], folder: Path) -> int:
    """Writes the groups to files of at most 64 groups or 64 MiB; gives how many files there are."""
    folder.mkdir()
    files = 0
    lines: list[bytes] = []
    for group in groups:
        lines.append(group.model_dump_json().encode() + b"\n")
        if len(lines) >= BATCH_GROUPS or sum(map(len, lines)) >= BATCH_BYTES:
            (folder / f"{files:08}.jsonl").write_bytes(b"".join(lines))
            lines, files = [], files + 1
    if lines:
        (folder / f"{files:08}.jsonl").write_bytes(b"".join(lines))
        files += 1
    return files


def _ray_data(address: str | None) -> Any:
    """The module ray.data, with a cluster behind it."""
    try:
        ray, data = import_module("ray"), import_module("ray.data")
    except ImportError as error:
        raise MissingExtraError("--ray", "ray") from error
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, logging_level="error")
    data.DataContext.get_current().enable_progress_bars = False
    return data


def _worker_number() -> int:
    """A number of this actor's own, so that the workers begin with different services."""
    return int(import_module("ray").get_runtime_context().get_actor_id()[:8], 16)


@contextmanager
def _told_to_stop(on_stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came; a second SIGINT is KeyboardInterrupt."""
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True
        on_stop()

    before = {name: signal.signal(name, note) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
