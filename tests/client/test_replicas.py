"""Several services behind one client: who is asked, who is set aside, and what a call does then."""

import httpx
import numpy as np
import pytest
from scripted_service import Driver, Script, ok, problem, sent_json

from edit_rrm_client import (
    AsyncRewardClient,
    InvalidRequestError,
    MockRewardServer,
    OverloadedError,
    RetryPolicy,
    RewardClient,
    UnavailableError,
    rewards,
)
from edit_rrm_client._endpoints import Endpoint
from edit_rrm_client._replicas import Replicas

IMAGE = np.zeros((4, 4, 3), np.uint8)
CALL = ("make it brighter", IMAGE, [IMAGE])
TWO = {"base_url": ["http://a", "http://b"]}


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def replicas(*names: str, clock: Clock | None = None) -> Replicas:
    return Replicas([Endpoint(name, {}) for name in names], clock or Clock())


def chosen(group: Replicas) -> str:
    with group.borrowed() as replica:
        return replica.endpoint.base_url


def test_equals_take_turns() -> None:
    group = replicas("a", "b", "c")
    assert [chosen(group) for _ in range(5)] == ["a", "b", "c", "a", "b"]


def test_the_one_with_the_fewest_outstanding_requests_comes_first() -> None:
    group = replicas("a", "b")
    with group.borrowed():
        assert [chosen(group) for _ in range(3)] == ["b", "b", "b"]
    assert chosen(group) == "a"


def test_one_that_failed_is_passed_over_until_its_time_is_up_or_it_answers() -> None:
    clock = Clock()
    group = replicas("a", "b", clock=clock)
    first, _ = group
    group.set_aside(first, 10.0)
    assert [chosen(group), chosen(group)] == ["b", "b"]
    clock.now_s += 10.0
    assert chosen(group) == "a"
    group.set_aside(first, 10.0)
    group.take_back(first)
    assert {chosen(group), chosen(group)} == {"a", "b"}


def test_when_all_are_set_aside_the_one_that_wants_to_be_asked_soonest_is_taken() -> None:
    group = replicas("a", "b")
    first, second = group
    group.set_aside(first, 10.0, retry_after_s=30.0)
    group.set_aside(second, 10.0, retry_after_s=4.0)
    assert not group.any_at_hand()
    assert group.asked_wait_s(first) == group.asked_wait_s(second) == 4.0
    assert chosen(group) == "b"


def test_a_lost_service_costs_no_wait_while_another_is_at_hand(drive: Driver) -> None:
    script = Script(httpx.ConnectError("refused"), ok())
    assert rewards(drive(script, "score", *CALL, options=TWO)) == [0.62]
    assert [request.url.host for request in script.requests] == ["a", "b"]
    assert script.waits == []


def test_the_backoff_begins_when_none_is_left_and_honours_the_shortest_retry_after(drive: Driver) -> None:
    script = Script(
        problem(429, "queue_full", retry_after="9"), problem(503, "loading", retry_after="4"), ok()
    )
    drive(script, "score", *CALL, options=TWO)
    assert [request.url.host for request in script.requests] == ["a", "b", "b"]
    assert script.waits == [4.0]


def test_fail_over_stays_within_the_one_deadline_and_the_bound_on_attempts(drive: Driver) -> None:
    script = Script(5.0, httpx.ConnectTimeout("late"), 5.0, httpx.ConnectTimeout("late"))
    with pytest.raises(UnavailableError, match="cannot connect to http://b"):
        drive(script, "score", *CALL, options={**TWO, "timeout_s": 10.0})
    assert [sent_json(request)["deadline_s"] for request in script.requests] == [10.0, 5.0]

    script = Script(problem(429, "queue_full"), problem(429, "queue_full"))
    with pytest.raises(OverloadedError):
        drive(script, "score", *CALL, options={**TWO, "retries": RetryPolicy(attempts=2)})
    assert script.waits == []


def test_ready_asks_one_after_another_and_one_is_enough(drive: Driver) -> None:
    script = Script(problem(503, "loading"), httpx.Response(200, json={}))
    assert drive(script, "ready", options=TWO).ok
    script = Script(problem(503, "loading"), httpx.ConnectError("refused"))
    probe = drive(script, "ready", options=TWO)
    assert (probe.ok, probe.code) == (False, "loading")
    assert probe.detail == "http://a: because loading; http://b: cannot connect to http://b: refused"


def test_what_was_learned_of_a_service_lasts_beyond_the_call() -> None:
    server = MockRewardServer()
    server.disconnect(host="a")
    clock = Clock()
    with RewardClient(
        TWO["base_url"], http_client=httpx.Client(transport=server), clock=clock, dice=lambda: 0.0
    ) as client:
        for _ in range(3):
            client.score(*CALL)
        clock.now_s += 10.0
        client.score(*CALL)
    hosts = [httpx.URL(call.url).host for call in server.calls]
    assert hosts == ["a", "b", "b", "b", "a"]


@pytest.mark.parametrize("client", [RewardClient, AsyncRewardClient])
@pytest.mark.parametrize("urls", [[], ["http://a", "http://a/"], ["http://a", "b"], [7]])
def test_addresses_that_are_none_or_the_same_are_refused(client: type, urls: list) -> None:
    with pytest.raises(InvalidRequestError):
        client(urls)


def test_a_repr_names_every_address() -> None:
    assert repr(RewardClient(["http://a", "http://b/"])) == "RewardClient(['http://a', 'http://b'])"
