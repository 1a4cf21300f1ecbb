"""`Supervisor`: keeps an engine up. Waits for its death, starts another with growing delays, and gives up.

It knows nothing of models, calls or HTTP. A start counts as a success once a caller's prompt was served
or the engine was up for a minute; only then are earlier failures forgotten.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edit_rrm.backoff import Backoff
from edit_rrm_server.engines.watched_engine import WatchedEngine
from edit_rrm_server.errors import EngineLostError
from edit_rrm_server.observe.life_metrics import LifeMetrics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RestartPolicy:
    """How often and how soon. `limit` counts failures in a row: 0 restarts nothing."""

    limit: int
    backoff_s: float
    max_backoff_s: float = 60.0
    proven_after_s: float = 60.0

    def delay_s(self, failures: int) -> float:
        """How long to wait before the next start: `backoff_s`, doubled with each failure, up to the cap."""
        return Backoff(self.backoff_s, self.max_backoff_s).ceiling_s(failures + 1)


class Supervisor:
    """See the module. `bring_up` starts an engine and puts it to use; `on_death` is told of every death."""

    def __init__(
        self,
        policy: RestartPolicy,
        bring_up: Callable[[], Awaitable[WatchedEngine]],
        on_death: Callable[[], object],
        metrics: LifeMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._policy = policy
        self._bring_up = bring_up
        self._on_death = on_death
        self._metrics = metrics
        self._clock = clock
        self._sleep = sleep
        self._retired = False

    def retire(self) -> None:
        """No further restarts: the service is about to end."""
        self._retired = True

    async def run(self, engine: WatchedEngine | None) -> None:
        """Keeps an engine up, `engine` being the first; without one it begins with a restart.

        Returns after a death once it has retired.
        Raises EngineLostError after as many failures in a row as are allowed. Cancel it to end it.
        """
        failures = 0
        if engine is None:
            engine, failures = await self._restart(failures)
        while True:
            up_since = self._clock()
            await engine.watch()
            up_s = self._clock() - up_since
            self._on_death()
            self._metrics.engine_died()
            if engine.hung:
                self._metrics.engine_hung()
                logger.error(
                    "the engine hangs: it has ended no step for %.0f s; it is killed", engine.stalled_s
                )
            proven = engine.completed > 0 or up_s >= self._policy.proven_after_s
            failures = 0 if proven else failures + 1
            logger.warning("the engine died after %.0f s and %d prompts", up_s, engine.completed)
            await engine.stop()
            if self._retired:
                return
            engine, failures = await self._restart(failures)

    async def _restart(self, failures: int) -> tuple[WatchedEngine, int]:
        """An engine that is up, and the failures in a row so far."""
        cause: Exception | None = None
        while failures < self._policy.limit:
            delay_s = self._policy.delay_s(failures)
            logger.warning("restarting the engine in %g s; failures in a row: %d", delay_s, failures)
            await self._sleep(delay_s)
            try:
                engine = await self._bring_up()
            except Exception as error:
                cause = error
                failures += 1
                self._metrics.engine_restarted("failed")
                logger.warning("the engine could not be restarted: %s: %s", type(error).__name__, error)
            else:
                self._metrics.engine_restarted("ok")
                logger.info("the engine is up again")
                return engine, failures
        raise EngineLostError(
            f"the engine died and is given up: {failures} failures in a row, {self._policy.limit} allowed"
        ) from cause
