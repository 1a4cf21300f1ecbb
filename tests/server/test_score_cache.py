"""The score cache: equal deterministic calls are scored once, within its bytes."""

from dataclasses import replace
from typing import Any

import pytest
from running_service import Running, Start
from small_calls import BLUE, PRINCIPLES, RED, b64

from edit_rrm.principles import Principle
from edit_rrm.wire import CandidateScored
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.scoring.score_cache import ScoreCache, ScoreKey

KEY = ScoreKey(
    "tiny@1", ("s",), 0, "c", "make it blue", (Principle(**PRINCIPLES[0]),),
    (SamplingSettings(0.0, 1.0, 0, 64),), (), 1,
    "model_score", "enforce", (),
)  # fmt: skip


def scored(score: float) -> CandidateScored:
    return CandidateScored(reward=score / 10, score=score, average=1.0)


def test_a_score_comes_back_as_it_was_and_says_that_it_was_kept() -> None:
    cache = ScoreCache(100_000)
    assert cache.get(KEY) is None
    cache.put(KEY, scored(6.0))
    assert cache.get(KEY) == scored(6.0).model_copy(update={"cached": True})
    cache.clear()
    assert (cache.get(KEY), cache.size_bytes, len(cache)) == (None, 0, 0)


def test_it_never_holds_more_than_its_bytes_and_drops_what_was_not_asked_for() -> None:
    cache = ScoreCache(20_000)
    for number in range(100):
        cache.put(replace(KEY, candidate=str(number)), scored(5.0))
        cache.get(replace(KEY, candidate="0"))
        assert 0 < cache.size_bytes <= 20_000
    assert 5 < len(cache) < 20
    assert cache.get(replace(KEY, candidate="0")) is not None
    assert cache.get(replace(KEY, candidate="1")) is None
    size = cache.size_bytes
    cache.put(replace(KEY, candidate="99"), scored(5.0))
    assert cache.size_bytes == size
    ScoreCache(10).put(KEY, scored(5.0))


async def test_an_equal_call_is_answered_without_the_engine(running: Running) -> None:
    first, second = [(await running.score()).json() for _ in range(2)]
    assert len(running.engine.asked) == 1
    assert first["results"][0]["cached"] is False
    assert second["results"] == [{**first["results"][0], "cached": True}]
    assert second["usage"]["completion_tokens"] == 0
    exposed = running.service.metrics.exposition().decode()
    assert 'edit_rrm_score_cache_total{result="hit"} 1.0' in exposed
    assert 'edit_rrm_score_cache_total{result="miss"} 1.0' in exposed
    running.assert_idle()


@pytest.mark.parametrize(
    "changed",
    [
        {"instruction": "make the red circle green"},
        {"source": b64(BLUE), "guards": "off"},
        {"candidates": [b64(RED)], "guards": "off"},
        {"principles": PRINCIPLES[:1]},
        {"aggregator": "gated"},
        {"include": ["reasoning"]},
        {"guards": "report"},
        {"sampling": {"max_tokens": 99}},
        {"sampling": {"temperature": 0.7}},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_any_other_call_asks_the_engine(running: Running, changed: dict[str, Any]) -> None:
    await running.score()
    answer = (await running.score(**changed)).json()
    assert len(running.engine.asked) == 2
    assert answer["results"][0]["cached"] is False


async def test_random_draws_and_failures_are_not_kept(start: Start) -> None:
    running = await start(retries=0)
    for _ in range(2):
        await running.score(sampling={"temperature": 0.7})
    assert len(running.engine.asked) == 2
    running.engine.script = lambda asked: "no trace"
    for _ in range(2):
        assert (await running.score()).status_code == 502
    assert len(running.engine.asked) == 4


async def test_a_cache_of_no_bytes_keeps_nothing(start: Start) -> None:
    running = await start(score_cache_mib=0)
    for _ in range(2):
        await running.score()
    assert len(running.engine.asked) == 2
