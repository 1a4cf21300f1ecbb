"""The supervisor: when it restarts an engine, how long it waits before, and when it gives up."""

import asyncio
from collections.abc import Iterable

import pytest
from running_service import until
from scripted_engine import ScriptedEngine

from edit_rrm_server.engines.watched_engine import WatchedEngine
from edit_rrm_server.errors import EngineLostError
from edit_rrm_server.life.supervision import RestartPolicy, Supervisor


class Bench:
    """A supervisor whose engines, clock and sleep belong to the test. `None` is a start that fails."""

    def __init__(self, limit: int, starts: Iterable[ScriptedEngine | None] = ()) -> None:
        self.now_s = 0.0
        self.slept_s: list[float] = []
        self.deaths = self.hangs = 0
        self.outcomes: list[str] = []
        self.told_of_deaths = 0
        self.up: list[WatchedEngine] = []
        self._starts = iter(starts)
        self.supervisor = Supervisor(
            RestartPolicy(limit, backoff_s=1.0, max_backoff_s=8.0),
            self._bring_up,
            self._on_death,
            self,
            clock=lambda: self.now_s,
            sleep=self._sleep,
        )

    def engine_died(self) -> None:
        self.deaths += 1

    def engine_hung(self) -> None:
        self.hangs += 1

    def engine_restarted(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def run(self, first: ScriptedEngine) -> asyncio.Task[None]:
        self.up.append(WatchedEngine(first))
        return asyncio.create_task(self.supervisor.run(self.up[0]))

    def _on_death(self) -> None:
        self.told_of_deaths += 1

    async def _sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        self.now_s += delay_s

    async def _bring_up(self) -> WatchedEngine:
        engine = next(self._starts, None)
        if engine is None:
            raise OSError("no engine today")
        self.up.append(WatchedEngine(engine))
        return self.up[-1]


def dead() -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.alive = False
    return engine


def test_the_delay_doubles_up_to_a_cap() -> None:
    policy = RestartPolicy(limit=5, backoff_s=0.5, max_backoff_s=6.0)
    assert [policy.delay_s(failures) for failures in range(6)] == [0.5, 1.0, 2.0, 4.0, 6.0, 6.0]
    assert policy.delay_s(10_000) == 6.0


async def test_a_death_is_noticed_unasked_and_another_engine_brought_up() -> None:
    first, second = ScriptedEngine(), ScriptedEngine()
    bench = Bench(5, [second])
    running = bench.run(first)
    await asyncio.sleep(0)
    assert (bench.deaths, first.stopped) == (0, False)
    first.alive = False
    await until(lambda: len(bench.up) == 2)
    assert first.stopped
    assert not second.stopped
    assert (bench.deaths, bench.told_of_deaths, bench.outcomes) == (1, 1, ["ok"])
    running.cancel()


async def test_it_gives_up_after_so_many_starts_in_a_row_that_fail() -> None:
    bench, first = Bench(4), dead()
    bench_task = bench.run(first)
    bench.up[0].completed = 1  # it had served: its death is the first, and no failed start
    with pytest.raises(EngineLostError, match="4 failures in a row, 4 allowed") as lost:
        await bench_task
    assert isinstance(lost.value.__cause__, OSError)
    assert bench.slept_s == [1.0, 2.0, 4.0, 8.0]
    assert bench.outcomes == ["failed"] * 4


async def test_an_engine_that_dies_before_its_first_prompt_is_a_failure() -> None:
    bench = Bench(3, [dead() for _ in range(9)])
    with pytest.raises(EngineLostError, match="3 failures in a row"):
        await bench.run(dead())
    assert bench.deaths == 3  # the first, and two restarts
    assert bench.slept_s == [2.0, 4.0]
    assert all(
        engine.stopped for engine in (up._engine for up in bench.up) if isinstance(engine, ScriptedEngine)
    )


@pytest.mark.parametrize(("served", "up_s", "forgiven"), [(1, 0.0, True), (0, 60.0, True), (0, 59.0, False)])
async def test_a_prompt_served_or_a_minute_up_forgives_earlier_failures(
    served: int, up_s: float, forgiven: bool
) -> None:
    proven = ScriptedEngine()
    bench = Bench(3, [dead(), proven, None])
    bench_task = bench.run(dead())  # a first failure; a second by the restart that is dead at once
    await until(lambda: len(bench.up) == 3)
    await asyncio.sleep(0)
    bench.up[-1].completed = served
    bench.now_s += up_s
    proven.alive = False
    with pytest.raises(EngineLostError):
        await bench_task
    assert bench.slept_s == [2.0, 4.0] + ([1.0, 2.0, 4.0] if forgiven else [])


async def test_a_limit_of_zero_restarts_nothing() -> None:
    bench = Bench(0, [ScriptedEngine()])
    with pytest.raises(EngineLostError):
        await bench.run(dead())
    assert (bench.slept_s, len(bench.up)) == ([], 1)


async def test_a_retired_supervisor_stops_the_dead_engine_and_restarts_nothing() -> None:
    bench, first = Bench(5, [ScriptedEngine()]), ScriptedEngine()
    running = bench.run(first)
    bench.supervisor.retire()
    first.alive = False
    await running
    assert (first.stopped, bench.told_of_deaths, len(bench.up)) == (True, 1, 1)
