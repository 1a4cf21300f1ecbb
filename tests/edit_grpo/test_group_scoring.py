"""Rewards over HTTP beside the training: overlap, failures, a service that goes away and comes back."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from dying_service import DyingService
from PIL import Image

from edit_grpo.data.edits import Edit
from edit_grpo.errors import ServiceAwayError, StoppedError
from edit_grpo.reward.scoring import GroupOutcome, GroupScorer, busy_s
from edit_grpo.reward.settings import RewardSettings
from edit_rrm_client import (
    AsyncRewardClient,
    AuthenticationError,
    MockRewardServer,
    Principle,
    RetryPolicy,
    rewards,
)

EDIT = Edit(
    "1", (Path("s.png"),), "make it red", "colour", (Principle(id="p9", question="Red?", category="follow"),)
)
PICTURE = Image.new("RGB", (8, 8))


@contextmanager
def scorer(
    server: MockRewardServer, waits: list[float] | None = None, **settings: Any
) -> Iterator[GroupScorer]:
    def connect() -> AsyncRewardClient:
        http = httpx.AsyncClient(transport=server)
        return AsyncRewardClient(http_client=http, retries=RetryPolicy(attempts=1))

    values = {"patience_s": 60.0, "poll_s": 0.01, **settings}
    told = waits if waits is not None else []
    with GroupScorer(
        connect, RewardSettings.model_validate(values), lambda s, reason: told.append(s)
    ) as found:
        yield found


def scored(outcome: GroupOutcome) -> list[float | None]:
    assert outcome.answer is not None
    return rewards(outcome.answer)


def test_a_group_is_one_call_and_a_failed_candidate_stays_none() -> None:
    server = MockRewardServer([0.25, None, 0.75])
    with scorer(server) as score:
        outcome = score.wait(score.submit(EDIT, [PICTURE], [PICTURE] * 3))
    assert scored(outcome) == [0.25, None, 0.75]
    assert len(server.calls) == 1


def test_submitting_returns_at_once_and_groups_are_scored_meanwhile() -> None:
    asked, go = threading.Event(), threading.Event()

    def answer(request: object) -> list[float]:
        asked.set()
        assert go.wait(30)
        return [0.5]

    class Slow(MockRewardServer):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            import asyncio

            await request.aread()
            return await asyncio.to_thread(self.handle_request, request)

    with scorer(Slow(answer)) as score:
        pending = score.submit(EDIT, [PICTURE], [PICTURE])
        assert asked.wait(30)  # under way, although nobody waits
        assert not pending.future.done()
        go.set()
        assert scored(score.wait(pending)) == [0.5]


def test_what_the_settings_say_is_asked_for() -> None:
    server = MockRewardServer(0.5)
    with scorer(
        server, principles="file", samples=3, temperature=0.5, guards="report", deadline_s=9.0
    ) as score:
        score.wait(score.submit(EDIT, [PICTURE], [PICTURE]))
    request = server.calls[0].request
    assert request is not None
    sent = request.model_dump()
    assert [principle["id"] for principle in sent["principles"]] == ["p9"]
    assert (sent["samples"], sent["sampling"]["temperature"], sent["guards"]) == (3, 0.5, "report")
    assert sent["deadline_s"] == pytest.approx(9.0, abs=0.5)
    assert sent["priority"] == "training"


def test_a_group_that_cannot_be_scored_has_no_answer_and_says_why() -> None:
    server = MockRewardServer(None)
    with scorer(server) as score:
        outcome = score.wait(score.submit(EDIT, [PICTURE], [PICTURE] * 2))
    assert outcome.answer is None
    assert "no candidate could be scored" in outcome.error


@pytest.mark.parametrize("status", [503, 429, 504])
def test_a_service_that_is_away_is_waited_for_visibly(status: int) -> None:
    server, waits = MockRewardServer(0.5), list[float]()
    server.fail(status, times=3)
    with scorer(server, waits) as score:
        assert scored(score.wait(score.submit(EDIT, [PICTURE], [PICTURE]))) == [0.5]
    assert len(server.calls) == 4
    assert waits


def test_a_wrong_key_is_raised_at_once() -> None:
    server, waits = MockRewardServer(0.5), list[float]()
    server.fail(403, times=None)
    with scorer(server, waits) as score, pytest.raises(AuthenticationError):
        score.wait(score.submit(EDIT, [PICTURE], [PICTURE]))
    assert len(server.calls) == 1
    assert waits == []


def test_patience_is_bounded_and_counts_over_all_groups() -> None:
    server = MockRewardServer(0.5)
    server.fail(503, times=None)
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    def connect() -> AsyncRewardClient:
        return AsyncRewardClient(
            http_client=httpx.AsyncClient(transport=server), retries=RetryPolicy(attempts=1)
        )

    settings = RewardSettings(patience_s=100.0, poll_s=30.0)
    with GroupScorer(connect, settings, clock=lambda: now[0], sleep=sleep) as score:
        first, second = (score.submit(EDIT, [PICTURE], [PICTURE]) for _ in range(2))
        with pytest.raises(
            ServiceAwayError, match=r"scored nothing for 100 s, longer than reward.patience_s"
        ):
            score.wait(first)
        with pytest.raises(ServiceAwayError):
            score.wait(second)
    assert now[0] == 100.0


def test_a_request_to_stop_ends_the_wait_for_a_service_that_is_away() -> None:
    server = MockRewardServer(0.5)
    server.fail(503, times=None)
    with scorer(server) as score, pytest.raises(StoppedError):
        score.wait(score.submit(EDIT, [PICTURE], [PICTURE]), stop=lambda: True)


def test_a_request_to_stop_does_not_end_the_wait_for_a_service_that_works() -> None:
    with scorer(MockRewardServer(0.5)) as score:
        outcome = score.wait(score.submit(EDIT, [PICTURE], [PICTURE]), stop=lambda: True)
    assert scored(outcome) == [0.5]


def test_a_service_that_dies_and_returns_on_the_same_port_costs_only_time() -> None:
    """Over real sockets: groups find nobody, the service comes back, all are scored."""
    with ExitStack() as stack:
        service = stack.enter_context(DyingService())
        back = threading.Event()

        def on_wait(waited_s: float, reason: str) -> None:
            if not back.is_set():
                back.set()
                service.start()

        settings = RewardSettings(urls=(service.url,), patience_s=60.0, poll_s=0.05)
        connect = lambda: AsyncRewardClient(service.url, retries=RetryPolicy(attempts=1))  # noqa: E731
        score = stack.enter_context(GroupScorer(connect, settings, on_wait))
        assert scored(score.wait(score.submit(EDIT, [PICTURE], [PICTURE] * 2))) == [0.5, 0.5]
        service.stop()
        pending = [score.submit(EDIT, [PICTURE], [PICTURE] * 2) for _ in range(3)]
        assert [scored(score.wait(each)) for each in pending] == [[0.5, 0.5]] * 3
        assert back.is_set()


def test_time_under_way_counts_once_where_groups_overlap() -> None:
    def outcome(asked_s: float, answered_s: float) -> GroupOutcome:
        return GroupOutcome(None, "", asked_s, answered_s)

    assert busy_s([]) == 0.0
    assert busy_s([outcome(0, 2), outcome(1, 4), outcome(6, 7)]) == 5.0
    assert busy_s([outcome(0, 9), outcome(1, 2)]) == 9.0
