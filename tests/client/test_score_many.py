"""score_many: order, bounds, failures as values, progress, and the end of the work when closed."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_service import ok, problem, scored, sent_json

from edit_rrm_client import (
    AsyncRewardClient,
    InvalidImageError,
    InvalidRequestError,
    ItemFailed,
    ItemScored,
    Progress,
    RetryPolicy,
    RewardClient,
    ScoreItem,
    UnavailableError,
    rewards,
)

IMAGE = np.zeros((2, 2, 3), np.uint8)
ONCE = RetryPolicy(attempts=1)
PATIENCE_S = 30.0  # how long a broken test may hang, never how long a good one waits


def item(number: int) -> ScoreItem:
    """An item whose instruction says what its reward will be: number / 100."""
    return ScoreItem(f"key {number}", str(number), IMAGE, [IMAGE])


def reward_of(request: httpx.Request) -> httpx.Response:
    number = int(sent_json(request)["instruction"])
    return problem(503, "loading") if number % 5 == 4 else ok(scored(number / 100))


def run(kind: str, handler: Callable[..., Any], items: Any, **options: Any) -> list[Any]:
    """Every result, by either client."""
    if kind == "blocking":
        http = httpx.Client(transport=httpx.MockTransport(handler))
        with RewardClient(http_client=http, retries=ONCE) as client:
            return list(client.score_many(items, **options))

    async def collect() -> list[Any]:
        http_async = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with AsyncRewardClient(http_client=http_async, retries=ONCE) as client:
            return [result async for result in client.score_many(items, **options)]

    return asyncio.run(collect())


both = pytest.mark.parametrize("kind", ["blocking", "asyncio"])


@both
@given(count=st.integers(0, 12), concurrency=st.integers(1, 5), ordered=st.booleans())
def test_every_item_comes_back_once_with_its_key_and_place_and_failures_cost_no_other(
    kind: str, count: int, concurrency: int, ordered: bool
) -> None:
    results = run(kind, reward_of, map(item, range(count)), concurrency=concurrency, ordered=ordered)
    if ordered:
        assert [result.index for result in results] == list(range(count))
    assert sorted(result.index for result in results) == list(range(count))
    for result in results:
        assert result.key == f"key {result.index}"
        if result.index % 5 == 4:
            assert isinstance(result, ItemFailed)
            assert isinstance(result.error, UnavailableError)
        else:
            assert isinstance(result, ItemScored)
            assert rewards(result.answer) == [result.index / 100]


@both
@given(taken=st.integers(1, 10), concurrency=st.integers(1, 4), ordered=st.booleans())
def test_no_more_is_read_than_the_window_ahead_of_what_was_taken(
    kind: str, taken: int, concurrency: int, ordered: bool
) -> None:
    read: list[int] = []
    ahead: list[int] = []
    given_out = 0

    def endless() -> Iterator[ScoreItem]:
        while True:
            read.append(len(read))
            ahead.append(len(read) - given_out)
            yield item(0)

    def stop_after(progress: Progress) -> None:
        nonlocal given_out
        given_out += 1
        if given_out == taken:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(kind, reward_of, endless(), concurrency=concurrency, ordered=ordered, on_progress=stop_after)
    assert max(ahead) <= (2 * concurrency if ordered else concurrency)


@both
def test_a_wrong_image_is_the_failure_of_its_item_alone(kind: str) -> None:
    wrong = ScoreItem(7, "x", IMAGE, [IMAGE[..., 0]])
    first, second = run(kind, reward_of, [wrong, item(1)])
    assert (first.key, type(first.error)) == (7, InvalidImageError)
    assert second.status == "ok"


@both
def test_options_reach_every_call_and_bulk_is_the_default_priority(kind: str) -> None:
    bodies = []

    def keep(request: httpx.Request) -> httpx.Response:
        bodies.append(sent_json(request))
        return ok()

    run(kind, keep, [item(1)], samples=3, deadline_s=9.0)
    run(kind, keep, [item(1)], priority="training", guards="off", include=["tokens"])
    first, second = bodies
    assert (first["samples"], first["priority"], "guards" in first) == (3, "bulk", False)
    assert 8.0 < first["deadline_s"] <= 9.0
    assert (second["priority"], second["guards"], second["include"]) == ("training", "off", ["tokens"])


@both
def test_items_of_several_sources_and_of_too_many(kind: str) -> None:
    bodies = []

    def keep(request: httpx.Request) -> httpx.Response:
        bodies.append(sent_json(request))
        return ok()

    items = [ScoreItem(n, "x", [IMAGE] * n, [IMAGE]) for n in (2, 5, 1)]
    two, five, one = run(kind, keep, items, concurrency=1, source_of_guards=1)
    assert (two.status, [len(body["sources"]) for body in bodies]) == ("ok", [2])
    assert bodies[0]["source_of_guards"] == 1
    assert (type(five.error), type(one.error)) == (InvalidRequestError, InvalidRequestError)


@both
def test_progress_counts_what_was_given_out(kind: str) -> None:
    seen: list[Progress] = []
    run(kind, reward_of, [item(3), item(4), item(5)], concurrency=1, on_progress=seen.append)
    assert [(progress.scored, progress.failed) for progress in seen] == [(1, 0), (1, 1), (2, 1)]
    assert seen[-1].waiting == 0
    assert all(progress.elapsed_s >= 0 for progress in seen)


@both
def test_what_the_input_raises_comes_out_and_a_foreign_item_is_named(kind: str) -> None:
    def broken() -> Iterator[ScoreItem]:
        yield item(1)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        run(kind, reward_of, broken())
    with pytest.raises(InvalidRequestError, match=r"items\[1\]: expected a ScoreItem, got tuple"):
        run(kind, reward_of, [item(1), ("key", "x")])


@pytest.mark.parametrize("client", [RewardClient, AsyncRewardClient])
def test_wrong_arguments_are_refused_by_the_call_itself_and_not_by_the_first_result(client: type) -> None:
    with pytest.raises(InvalidRequestError, match="concurrency must be at least 1, got 0"):
        client().score_many([], concurrency=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'sample'"):
        client().score_many([], sample=3)


def test_order_is_kept_even_when_the_second_is_answered_first() -> None:
    second_was_answered = threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        if sent_json(request)["instruction"] == "1":
            second_was_answered.set()
        elif not second_was_answered.wait(PATIENCE_S):
            raise AssertionError("the two were not sent at once")
        return ok()

    results = run("blocking", answer, [item(0), item(1)], concurrency=2)
    assert [result.index for result in results] == [0, 1]


async def test_as_completed_does_not_wait_for_a_slow_one() -> None:
    release = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if sent_json(request)["instruction"] == "0":
            await release.wait()
        return ok()

    order = []
    async with AsyncRewardClient(
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(answer))
    ) as client:
        async for result in client.score_many(map(item, range(3)), concurrency=2, ordered=False):
            order.append(result.index)
            if len(order) == 2:
                release.set()
    assert order == [1, 2, 0]


def test_closing_the_blocking_iterator_begins_no_further_request() -> None:
    second_begun = threading.Event()
    release = threading.Event()
    begun = []

    def answer(request: httpx.Request) -> httpx.Response:
        number = sent_json(request)["instruction"]
        begun.append(number)
        if number == "0":
            second_begun.wait(PATIENCE_S)
        else:
            second_begun.set()
            release.wait(PATIENCE_S)
        return ok()

    before = set(threading.enumerate())
    http = httpx.Client(transport=httpx.MockTransport(answer))
    results = RewardClient(http_client=http).score_many(map(item, range(1000)), concurrency=2)
    assert next(results).index == 0
    workers = set(threading.enumerate()) - before
    assert len(workers) == 2
    results.close()
    release.set()
    for worker in workers:
        worker.join(PATIENCE_S)
    assert not any(worker.is_alive() for worker in workers)
    assert {"0", "1"} <= set(begun) <= {"0", "1", "2"}  # the third only if it began before the close
    assert list(results) == []


async def test_closing_the_async_iterator_cancels_what_is_on_the_wire() -> None:
    cancelled = 0
    all_begun = asyncio.Event()
    begun = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal begun, cancelled
        begun += 1
        if begun == 3:
            all_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise
        raise AssertionError

    client = AsyncRewardClient(http_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    results = client.score_many(map(item, range(1000)), concurrency=3)
    taking = asyncio.ensure_future(anext(results))
    async with asyncio.timeout(PATIENCE_S):
        await all_begun.wait()
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    await results.aclose()
    assert (begun, cancelled) == (3, 3)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_async_source_that_waits_for_results_before_it_goes_on_is_no_deadlock() -> None:
    taken = asyncio.Event()

    async def source() -> AsyncIterator[ScoreItem]:
        yield item(0)
        await taken.wait()
        yield item(1)

    client = AsyncRewardClient(http_client=httpx.AsyncClient(transport=httpx.MockTransport(reward_of)))
    indices = []
    async for result in client.score_many(source(), concurrency=4):
        indices.append(result.index)
        taken.set()
    assert indices == [0, 1]


async def test_no_more_calls_are_on_the_wire_than_asked_for() -> None:
    now = most = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(20):
            await asyncio.sleep(0)
        now -= 1
        return ok()

    client = AsyncRewardClient(http_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    assert len([r async for r in client.score_many(map(item, range(30)), concurrency=3)]) == 30
    assert 2 <= most <= 3
