"""`Reloader`: replaces the served weights by those of another checkpoint, or leaves the old ones serving.

Running jobs finish, nothing new is admitted, the old engine ends before the new one starts (a GPU rarely has
room for two), every cache is emptied. A checkpoint that does not load costs the time of loading the old one
again. It knows nothing of HTTP and of what a model says.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edit_rrm_server.engines.watched_engine import WatchedEngine
from edit_rrm_server.errors import ReloadError, ReloadRunningError, UnavailableError
from edit_rrm_server.observe.life_metrics import LifeMetrics

DRAINING_RETRY_S = 10.0

logger = logging.getLogger(__name__)


class Replaceable(Protocol):
    """The service as reloading sees it."""

    @property
    def checkpoint(self) -> Path:
        """The directory of the weights that serve, or served last."""
        ...

    async def drained(self) -> None:
        """Returns once no admitted job is left."""
        ...

    async def let_go(self) -> None:
        """Ends the engine and whatever keeps it up."""
        ...

    async def bring_up(self, checkpoint: Path) -> WatchedEngine:
        """Loads a checkpoint and serves it from now on."""
        ...

    def keep_up(self, engine: WatchedEngine | None) -> None:
        """Keeps an engine up; None: brings one up first, as after a death."""
        ...


@dataclass(frozen=True)
class Reloaded:
    """How long the running jobs took to finish, and the new weights to serve after that."""

    drain_s: float
    load_s: float


class Reloader:
    """See the module. `busy` while a reload goes on; it goes on if whoever asked for it goes away."""

    def __init__(self, life: Replaceable, drain_timeout_s: float, metrics: LifeMetrics) -> None:
        self._life = life
        self._drain_timeout_s = drain_timeout_s
        self._metrics = metrics
        self._replacing: asyncio.Task[Reloaded] | None = None

    @property
    def busy(self) -> bool:
        """Whether no job may be admitted because of a reload."""
        return self._replacing is not None and not self._replacing.done()

    async def reload(self, checkpoint: Path) -> Reloaded:
        """Serves `checkpoint`. Raises ReloadRunningError and ReloadError, when the old weights serve, and
        UnavailableError (draining) when the service ends meanwhile.
        """
        if self.busy:
            raise ReloadRunningError("another reload is going on")
        self._replacing = asyncio.create_task(self._replace(checkpoint))
        self._replacing.add_done_callback(self._report)
        try:
            return await asyncio.shield(self._replacing)
        except asyncio.CancelledError:
            if self._replacing.cancelled():  # not whoever waits for it
                raise UnavailableError("draining", "the service is shutting down", DRAINING_RETRY_S) from None
            raise

    async def cancel(self) -> None:
        """Ends a reload that is going on: the service ends."""
        if self._replacing is not None and self.busy:
            self._replacing.cancel()
            await asyncio.wait([self._replacing])

    async def _replace(self, checkpoint: Path) -> Reloaded:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await self._life.drained()
        except TimeoutError:
            raise ReloadError(
                f"running calls did not finish in {self._drain_timeout_s:g} s; the old weights serve on"
            ) from None
        drained = time.monotonic()
        previous = self._life.checkpoint
        await self._life.let_go()
        try:
            engine = await self._life.bring_up(checkpoint)
        except Exception as error:
            logger.error("%s does not load: %s: %s", checkpoint, type(error).__name__, error)
            await self._return_to(previous)
            raise ReloadError(f"it does not load ({type(error).__name__}); the old weights serve") from error
        self._life.keep_up(engine)
        return Reloaded(drained - started, time.monotonic() - drained)

    async def _return_to(self, previous: Path) -> None:
        engine = None
        try:
            engine = await self._life.bring_up(previous)
        except Exception as error:
            logger.error("nor do the old weights: %s: %s", type(error).__name__, error)
        self._life.keep_up(engine)

    def _report(self, task: asyncio.Task[Reloaded]) -> None:
        if not task.cancelled():
            self._metrics.weights_reloaded("ok" if task.exception() is None else "failed")
