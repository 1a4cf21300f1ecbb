"""The token bucket's promises for any course of calls, who shares one, and what a refused caller is told."""

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running_service import Start
from starlette.types import Message, Scope

from edit_rrm_server.admission.rate_limit import RateLimiter, TokenBucket, caller_at
from edit_rrm_server.errors import RateLimitedError

NS_PER_S = 1_000_000_000

rates_per_s = st.floats(1e-3, 1e6)
bursts = st.integers(1, 50)
# Gaps of nothing, of about a token, and of long pauses.
gaps_ns = st.lists(st.one_of(st.just(0), st.integers(0, 10**7), st.integers(0, 10**12)), max_size=40)


@settings(deadline=None)
@given(rates_per_s, bursts, st.integers(0, 10**18), gaps_ns)
def test_no_span_of_time_admits_more_than_the_burst_and_its_share(
    rate_per_s: float, burst: int, start_ns: int, gaps: list[int]
) -> None:
    bucket = TokenBucket(rate_per_s, burst)
    calls_at = accumulate(gaps, initial=start_ns)
    admitted_at = [now for now in calls_at if bucket.take(now) == 0]
    rate_per_ns = Fraction(rate_per_s) / NS_PER_S
    for first, began in enumerate(admitted_at):
        for admitted, ended in enumerate(admitted_at[first:], 1):
            assert admitted <= burst + rate_per_ns * (ended - began)


@settings(deadline=None)
@given(rates_per_s, bursts, gaps_ns)
def test_the_wait_a_refusal_names_is_enough_and_no_longer_than_needed(
    rate_per_s: float, burst: int, gaps: list[int]
) -> None:
    bucket = TokenBucket(rate_per_s, burst)
    now = 0
    for gap in gaps:
        now += gap
        wait_ns = bucket.take(now)
        if wait_ns:
            assert bucket.take(now + wait_ns - 1) == 1
            now += wait_ns
            assert bucket.take(now) == 0


@settings(deadline=None)
@given(rates_per_s, bursts)
def test_a_caller_that_paused_has_its_whole_burst(rate_per_s: float, burst: int) -> None:
    bucket = TokenBucket(rate_per_s, burst)
    long_pause_ns = 10**15
    for start_ns in (0, long_pause_ns):
        waits = [bucket.take(start_ns) for _ in range(burst + 1)]
        assert waits[:burst] == [0] * burst
        assert waits[burst] > 0


def test_two_a_second_by_hand() -> None:
    bucket = TokenBucket(2.0, 3)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, NS_PER_S // 2]
    assert bucket.take(NS_PER_S // 4) == NS_PER_S // 4
    assert bucket.take(NS_PER_S // 2) == 0
    assert bucket.take(NS_PER_S // 2) == NS_PER_S // 2


def refused(limiter: RateLimiter, caller: str) -> bool:
    try:
        limiter.admit(caller)
    except RateLimitedError:
        return True
    return False


def test_callers_do_not_use_up_each_others_calls() -> None:
    limiter = RateLimiter(1.0, 2, clock_ns=lambda: 0)
    assert [refused(limiter, caller) for caller in "aababb"] == [False, False, False, True, False, True]


def test_buckets_are_bounded_and_a_busy_caller_keeps_its_own() -> None:
    limiter = RateLimiter(1.0, 1, max_buckets=3, clock_ns=lambda: 0)
    assert not refused(limiter, "busy")
    for number in range(100):
        assert not refused(limiter, f"passing {number}")
        assert refused(limiter, "busy")
    assert len(limiter) == 3


def test_the_refusal_says_how_long_to_wait_and_what_is_allowed() -> None:
    limiter = RateLimiter(0.25, 1, clock_ns=lambda: 0)
    limiter.admit("a")
    with pytest.raises(RateLimitedError, match=r"0\.25 calls a second and 1 at once") as caught:
        limiter.admit("a")
    assert (caught.value.code, caught.value.retry_after_s) == ("rate_limited", 4.0)


def test_an_ipv6_network_is_one_caller_and_an_ipv4_address_is_one() -> None:
    assert caller_at("2001:db8::1") == caller_at("2001:db8::ffff:2") != caller_at("2001:db8:0:1::1")
    assert caller_at("10.0.0.1") != caller_at("10.0.0.2")
    assert caller_at("::ffff:10.0.0.1") != caller_at("::ffff:10.0.0.2")
    assert caller_at(None) == caller_at(None) != caller_at("10.0.0.1")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_each_key_has_its_own_limit_and_the_refusal_is_counted(start: Start) -> None:
    running = await start(api_keys="a, b", rate_limit_per_s=0.001, rate_limit_burst=2)
    get = running.http.get
    assert [(await get("/v1/models", headers=bearer("a"))).status_code for _ in range(3)] == [200, 200, 429]
    assert (await get("/v1/models", headers=bearer("b"))).status_code == 200
    response = await get("/v1/models", headers=bearer("a"))
    assert response.json()["code"] == "rate_limited"
    assert 900 < int(response.headers["Retry-After"]) <= 1000
    assert (await get("/v1/models", headers=bearer("wrong"))).status_code == 403
    counted = 'edit_rrm_requests_total{code="rate_limited",route="unknown",status="429"} 2.0'
    assert counted in (await get("/metrics")).text


async def test_probes_metrics_and_the_page_are_never_limited(start: Start) -> None:
    running = await start(rate_limit_per_s=0.001, rate_limit_burst=1)
    for path in ("/health", "/ready", "/metrics", "/"):
        statuses = {(await running.http.get(path)).status_code for _ in range(3)}
        assert 429 not in statuses, path
    keyed = await start(api_keys="a", metrics_need_key=True, rate_limit_per_s=0.001, rate_limit_burst=1)
    statuses = {(await keyed.http.get("/metrics", headers=bearer("a"))).status_code for _ in range(3)}
    assert statuses == {200}


async def test_without_keys_an_address_is_limited_before_its_body_is_read(start: Start) -> None:
    running = await start(rate_limit_per_s=0.001, rate_limit_burst=1)

    async def unread() -> Message:
        pytest.fail("the body of a refused call was asked for")

    async def status_of_call_from(address: str, path: str) -> int:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "client": (address, 1),
        }
        await running.app(scope, unread, send)
        return int(sent[0]["status"])

    # /v1/absent reads no body, whatever becomes of the call.
    assert await status_of_call_from("10.0.0.1", "/v1/absent") == 404
    assert await status_of_call_from("10.0.0.1", "/v1/score") == 429
    assert await status_of_call_from("10.0.0.2", "/v1/absent") == 404
