"""What the service's life reports: its state, deaths and restarts of the engine, replaced weights."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

Outcome = Literal["ok", "failed"]


class LifeMetrics:
    """Of the service, its supervisor and its reloader. `engine_alive` is asked whenever metrics are read."""

    def __init__(self, registry: CollectorRegistry, engine_alive: Callable[[], bool]) -> None:
        Gauge("edit_rrm_engine_up", "1 while the engine can run a prompt", registry=registry).set_function(
            lambda: float(engine_alive())
        )
        self._deaths = Counter("edit_rrm_engine_deaths", "Deaths of the running engine", registry=registry)
        self._hangs = Counter(
            "edit_rrm_engine_hangs",
            "Deaths of the running engine that were hangs, which this service ended",
            registry=registry,
        )
        self._quarantined = Counter(
            "edit_rrm_prompts_quarantined",
            "Prompts found that the engine died of, which are refused for a while",
            registry=registry,
        )
        self._restarts = Counter(
            "edit_rrm_engine_restarts",
            "Restarts of the engine by outcome: ok, failed",
            ["outcome"],
            registry=registry,
        )
        self._reloads = Counter(
            "edit_rrm_reloads",
            "Replacements of the weights by outcome: ok, failed",
            ["outcome"],
            registry=registry,
        )
        self._state = Gauge(
            "edit_rrm_state",
            "1 for the state the service is in, 0 for the others",
            ["state"],
            registry=registry,
        )
        self._prefix_reuse = Gauge(
            "edit_rrm_prefix_reuse_ratio",
            "Share of a group's common prompt tokens that came from the cache at warm-up; NaN: not looked at",
            registry=registry,
        )
        self._tasks = Gauge(
            "edit_rrm_tasks",
            "Tasks of the event loop; an idle service has always the same few",
            registry=registry,
        )
        for outcome in ("ok", "failed"):
            self._restarts.labels(outcome)
            self._reloads.labels(outcome)

    def watch_state(self, state: Callable[[], str], possible: Sequence[str]) -> None:
        """Has the service's state read from `state` whenever metrics are."""
        for name in possible:
            self._state.labels(name).set_function(
                lambda name=name: float(state() == name)  # type: ignore[misc]
            )

    def watch_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has the tasks of the service's loop counted whenever metrics are read."""
        self._tasks.set_function(lambda: float(len(asyncio.all_tasks(loop))))

    def watch_prefix_reuse(self, share: Callable[[], float | None]) -> None:
        """Has the loaded checkpoint's reuse of prefixes read from `share` whenever metrics are."""

        def known() -> float:
            value = share()
            return math.nan if value is None else value

        self._prefix_reuse.set_function(known)

    def engine_died(self) -> None:
        """An engine that was up is dead."""
        self._deaths.inc()

    def engine_hung(self) -> None:
        """The death was a hang."""
        self._hangs.inc()

    def prompt_quarantined(self) -> None:
        """The engine has died of a prompt."""
        self._quarantined.inc()

    def engine_restarted(self, outcome: Outcome) -> None:
        """Another engine is up, or could not be brought up."""
        self._restarts.labels(outcome).inc()

    def weights_reloaded(self, outcome: Outcome) -> None:
        """Other weights serve, or the old ones still do."""
        self._reloads.labels(outcome).inc()
