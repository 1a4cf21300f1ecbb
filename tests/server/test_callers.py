"""Keys with names and limits, wrong keys, and callers who share a service."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError
from running_service import Running, Start, until
from scripted_engine import ScriptedEngine
from small_calls import b64, picture, png, score_body

from edit_rrm_server.admission.callers import Caller, TokenAllowances
from edit_rrm_server.admission.lanes import Lanes
from edit_rrm_server.errors import RateLimitedError
from edit_rrm_server.settings.server import ServerSettings

KEYS = """
# two trainers and an evaluation
aaaa name=trainer-a
bbbb name=trainer-b jobs=3
cccc name=evaluation lane=bulk tokens_per_minute=60
dddd
"""


def keys_file(tmp_path: Path, content: str = KEYS) -> Path:
    file = tmp_path / "keys.txt"
    file.write_text(content)
    return file


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def body(number: int, candidates: int = 1, **fields: object) -> dict[str, object]:
    """A request whose candidates no other has."""
    colours = [(number % 250, 10 * place + 9, 220) for place in range(candidates)]
    return {**score_body(candidates=[b64(png(picture(colour))) for colour in colours]), **fields}


async def post(running: Running, key: str, number: int, **fields: object) -> httpx.Response:
    return await running.http.post("/v1/score", json=body(number, **fields), headers=bearer(key))  # type: ignore[arg-type]


class TestKeysFile:
    """What may stand behind a key."""

    def test_names_and_limits(self, tmp_path: Path) -> None:
        owners = ServerSettings(api_keys_file=keys_file(tmp_path)).all_keys
        assert [(o.name, o.lane, o.jobs, o.tokens_per_minute) for o in owners] == [
            ("trainer-a", "interactive", None, None),
            ("trainer-b", "interactive", 3, None),
            ("evaluation", "bulk", None, 60),
            ("key-4", "interactive", None, None),
        ]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("aaaa name=a\nbbbb name=a", "line 2 .* a has a key already"),
            ("aaaa jobs=0", "line 1 .* jobs: "),
            ("aaaa lane=fast", "line 1 .* lane: "),
            ("aaaa job=3", "line 1 .* job: "),
            ("aaaa jobs=3 jobs=4", "line 1 .* fields such as"),
            ("aaaa key=bbbb", "line 1 .* fields such as"),
        ],
    )
    def test_wrong_lines_are_named_without_the_key(self, tmp_path: Path, line: str, reason: str) -> None:
        with pytest.raises(ValidationError, match=reason) as caught:
            ServerSettings(api_keys_file=keys_file(tmp_path, line))
        assert "aaaa" not in str(caught.value)


async def test_a_lane_is_the_most_urgent_that_a_key_may_take(start: Start, tmp_path: Path) -> None:
    running = await start(api_keys_file=keys_file(tmp_path), window=1)
    running.engine.gate = asyncio.Event()
    calls = [asyncio.create_task(post(running, "aaaa", 0))]
    await until(lambda: running.engine.running == 1)
    calls += [
        asyncio.create_task(post(running, "cccc", 1, priority="interactive")),
        asyncio.create_task(post(running, "aaaa", 2, priority="interactive")),
    ]
    await until(lambda: running.service.batcher.waiting_jobs == 2)
    assert running.service.batcher.waiting_by_lane == {"interactive": 1, "training": 0, "bulk": 1}
    running.engine.gate.set()
    assert [(await call).status_code for call in calls] == [200] * 3
    running.assert_idle()


async def test_jobs_are_what_a_key_may_have_waiting_and_running(start: Start, tmp_path: Path) -> None:
    running = await start(api_keys_file=keys_file(tmp_path), window=2)
    running.engine.gate = asyncio.Event()
    held = asyncio.create_task(post(running, "bbbb", 0, candidates=2))
    await until(lambda: running.engine.running == 2)
    refused = await post(running, "bbbb", 1, candidates=2)
    assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
    assert refused.json()["detail"] == "trainer-b has 2 jobs of at most 3, and the call needs 2"
    others = [asyncio.create_task(post(running, key, 5)) for key in ("bbbb", "aaaa")]
    await until(lambda: running.service.batcher.waiting_jobs == 2)
    running.engine.gate.set()
    assert [(await call).status_code for call in (held, *others)] == [200] * 3
    assert (await post(running, "bbbb", 9, candidates=4)).status_code == 200  # alone it may be larger
    running.assert_idle()


async def test_where_there_are_several_keys_none_takes_the_whole_queue(start: Start, tmp_path: Path) -> None:
    running = await start(api_keys_file=keys_file(tmp_path), window=1, queue_capacity=8)
    running.engine.gate = asyncio.Event()
    calls = [asyncio.create_task(post(running, "aaaa", 0))]
    await until(lambda: running.engine.running == 1)
    calls.append(asyncio.create_task(post(running, "aaaa", 1, candidates=5)))
    await until(lambda: running.service.batcher.waiting_jobs == 5)
    refused = await post(running, "aaaa", 2)
    assert refused.json()["detail"] == "trainer-a has 6 jobs of at most 6, and the call needs 1"
    calls.append(asyncio.create_task(post(running, "dddd", 3, candidates=2)))
    await until(lambda: running.service.batcher.waiting_jobs == 7)
    running.engine.gate.set()
    assert [(await call).status_code for call in calls] == [200] * 3


async def test_tokens_are_counted_when_they_were_written(start: Start, tmp_path: Path) -> None:
    running = await start(api_keys_file=keys_file(tmp_path))
    while (answer := await post(running, "cccc", 0, include=[])).status_code == 200:
        tokens = answer.json()["usage"]["completion_tokens"]
        assert tokens or answer.json()["results"][0]["cached"]
        running.service.score_cache.clear()
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert "evaluation has had more than its 60 tokens a minute" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await post(running, "aaaa", 0)).status_code == 200


async def test_tokens_of_a_decomposition_and_of_what_could_not_be_read_count_too(
    start: Start, tmp_path: Path
) -> None:
    running = await start(engine=ScriptedEngine(lambda asked: "no trace"), api_keys_file=keys_file(tmp_path))
    while (answer := await post(running, "cccc", 0)).status_code == 502:
        assert answer.json()["code"] == "trace_unparseable"
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


def lines(count: int) -> bytes:
    return b"".join(json.dumps({**body(n), "key": n}).encode() + b"\n" for n in range(count))


class TestTokensOfAnOpenStream:
    """A key's `tokens_per_minute` holds for the lines of a stream that is open."""

    async def test_lines_are_slowed_and_none_is_lost(self, start: Start, tmp_path: Path) -> None:
        running = await start(api_keys_file=keys_file(tmp_path), window=1)
        now_ns = 0
        allowances = clocked(running, lambda: now_ns)
        headers = {**bearer("cccc"), "content-type": "application/x-ndjson"}
        work = running.http.post("/v1/score/stream", content=lines(12), headers=headers)
        stream = asyncio.create_task(work)
        owner = Caller("evaluation", tokens_per_minute=60)
        turns: list[int] = []
        while not stream.done():
            before = len(running.engine.asked)
            await until(lambda: stream.done() or (allowances.owed_s(owner) and idle(running)))
            turns.append(len(running.engine.asked) - before)
            assert turns[-1] <= 3, "what was let in before the debt showed: the window, and two of them held"
            now_ns += int(allowances.owed_s(owner) * 1e9)
        answers = [json.loads(text) for text in (await stream).text.splitlines()]
        assert sorted(answer["key"] for answer in answers) == list(range(12))
        assert all("error" not in answer for answer in answers)
        assert len(turns) >= 4
        running.assert_idle()

    async def test_a_line_s_own_deadline_is_told_and_leaving_ends_it(
        self, start: Start, tmp_path: Path
    ) -> None:
        running = await start(api_keys_file=keys_file(tmp_path))
        now_ns = 0
        allowances = clocked(running, lambda: now_ns)
        owner = Caller("evaluation", tokens_per_minute=60)
        text = json.dumps({**body(1), "key": 1, "deadline_s": 0.01}) + "\n"
        headers = {**bearer("cccc"), "content-type": "application/x-ndjson"}
        opened = asyncio.Event()

        async def content() -> AsyncIterator[bytes]:
            opened.set()
            allowances.charge(owner, 90)
            yield text.encode()

        post = running.http.post("/v1/score/stream", content=content(), headers=headers)
        stream = asyncio.create_task(post)
        await opened.wait()
        await asyncio.sleep(0.05)
        assert running.engine.asked == []
        now_ns = 30 * 10**9
        (answer,) = [json.loads(one) for one in (await stream).text.splitlines()]
        assert answer["error"]["code"] == "deadline_exceeded"
        running.assert_idle()

    async def test_draining_does_not_wait_for_a_debt(self, start: Start, tmp_path: Path) -> None:
        running = await start(api_keys_file=keys_file(tmp_path))
        allowances = clocked(running, lambda: 0)
        first, rest = lines(3).split(b"\n", 1)

        async def content() -> AsyncIterator[bytes]:
            yield first + b"\n"
            await until(lambda: running.engine.asked)
            allowances.charge(Caller("evaluation", tokens_per_minute=60), 10**6)
            yield rest

        headers = {**bearer("cccc"), "content-type": "application/x-ndjson"}
        post = running.http.post("/v1/score/stream", content=content(), headers=headers)
        stream = asyncio.create_task(post)
        await until(lambda: allowances.owed_s(Caller("evaluation", tokens_per_minute=60)) > 10**5)
        assert await running.service.drain(30.0)
        answers = [json.loads(text) for text in (await stream).text.splitlines()]
        assert [(a["line"], a.get("error", {}).get("code")) for a in answers] == [(1, None), (2, "draining")]


def clocked(running: Running, clock_ns: Callable[[], int]) -> TokenAllowances:
    """The service's allowances, by this clock."""
    allowances = running.service.allowances
    allowances._clock_ns = clock_ns
    return allowances


def idle(running: Running) -> bool:
    batcher = running.service.batcher
    return batcher.waiting_jobs == batcher.jobs_in_flight == 0 and running.engine.running == 0


def test_an_allowance_is_a_minute_s_worth_at_once_and_then_the_rate() -> None:
    now = 0
    allowances = TokenAllowances(clock_ns=lambda: now)
    caller, other = Caller("a", tokens_per_minute=60), Caller("b")
    allowances.charge(caller, 90)  # 60 at once, and 30 s of debt
    allowances.charge(other, 10**9)
    allowances.check(other)
    with pytest.raises(RateLimitedError) as caught:
        allowances.check(caller)
    assert caught.value.retry_after_s == 30.0
    now = 30_000_000_000
    allowances.check(caller)
    allowances.charge(caller, 1)
    with pytest.raises(RateLimitedError):
        allowances.check(caller)


class Queued:
    def __init__(self, name: str, caller: str, jobs: int, deadline_at: float = 9.0) -> None:
        self.name, self.caller, self.jobs = name, caller, jobs
        self.lane, self.deadline_at = "training", deadline_at

    @property
    def ready(self) -> bool:
        return self.jobs > 0


def test_a_caller_who_comes_later_gets_every_second_place() -> None:
    running: dict[str, int] = {}
    lanes: Lanes[Queued] = Lanes(0.25, running)  # type: ignore[type-var]
    for number in range(3):
        lanes.enter(Queued(f"a{number}", "a", 4))
    lanes.enter(Queued("b0", "b", 3))
    order = []
    while (call := lanes.next()) is not None:
        call.jobs -= 1
        running[call.caller] = running.get(call.caller, 0) + 1
        order.append(call.name)
    assert order == ["a0", "b0", "a0", "b0", "a0", "b0", "a0", *["a1"] * 4, *["a2"] * 4]


async def test_wrong_keys_are_counted_and_right_ones_pass(start: Start, tmp_path: Path) -> None:
    running = await start(api_keys_file=keys_file(tmp_path))
    codes = [(await post(running, "wrong", 0)).json()["code"] for _ in range(30)]
    assert codes[:20] == ["bad_key"] * 20
    assert "rate_limited" in codes[20:]
    assert (await post(running, "aaaa", 0)).status_code == 200


async def test_the_log_names_the_caller_and_never_the_key(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = await start(api_keys_file=keys_file(tmp_path))
    with caplog.at_level(logging.INFO, "edit_rrm_server.http.access"):
        await post(running, "bbbb", 0)
    (line,) = [json.loads(r.getMessage()) for r in caplog.records if "request" in r.getMessage()]
    assert line["caller"] == "trainer-b"
    assert "bbbb" not in caplog.text


async def test_a_stream_keeps_to_its_lane_and_to_its_caller_s_part(start: Start, tmp_path: Path) -> None:
    """A line that said `interactive` passed the lane that was looked at: 124 jobs in a queue of 32."""
    running = await start(api_keys_file=keys_file(tmp_path), window=2, queue_capacity=16)
    running.engine.gate = asyncio.Event()
    lines = [json.dumps({**body(n, 2), "key": n, "priority": "interactive"}) for n in range(60)]
    headers = {**bearer("aaaa"), "content-type": "application/x-ndjson"}
    work = running.http.post("/v1/score/stream", content="\n".join(lines), headers=headers)
    stream = asyncio.create_task(work)
    await until(lambda: running.service.batcher.waiting_jobs >= 4)
    for _ in range(300):
        await asyncio.sleep(0)
    assert running.service.batcher.waiting_jobs <= 6
    other = asyncio.create_task(post(running, "dddd", 99))
    await until(lambda: running.service.batcher.jobs_of("key-4") == 1)
    running.engine.gate.set()
    assert (await other).status_code == 200
    assert len((await stream).text.splitlines()) == 60
    running.assert_idle()


async def test_pictures_beyond_the_room_wait_and_more_than_all_of_it_is_refused(start: Start) -> None:
    room = 2**20
    running = await start(max_picture_bytes=room, window=4)
    pictures = [b64(png(picture((n, 5, 5), size=(300, 300)))) for n in range(5)]
    source = b64(png(picture((200, 5, 5), size=(300, 300))))
    running.engine.gate = asyncio.Event()
    calls = [asyncio.create_task(running.score(source=source, candidates=[one])) for one in pictures[:4]]
    each = 2 * 4 * 64 * 64  # as the card wants them shown
    await until(lambda: running.engine.running == 4)
    assert running.service.picture_budget.held_bytes == 4 * each
    text = running.service.metrics.exposition().decode()
    assert f'edit_rrm_held_bytes{{resource="pictures"}} {4 * each:.1f}' in text
    running.engine.gate.set()
    assert [(await call).status_code for call in calls] == [200] * 4
    assert running.service.picture_budget.held_bytes == 0
    running.service.picture_budget.capacity_bytes = each - 1
    refused = await running.score(source=source, candidates=[pictures[4]])
    assert (refused.status_code, refused.json()["code"]) == (413, "too_many_pixels")
    running.service.picture_budget.capacity_bytes = each
    running.engine.gate = asyncio.Event()
    calls = [
        asyncio.create_task(running.score(source=source, candidates=[b64(png(picture((n, 9, 9))))]))
        for n in range(2)
    ]
    await until(lambda: running.engine.running == 1)
    for _ in range(200):
        await asyncio.sleep(0)
    assert running.engine.running == 1  # the other waits for room
    running.engine.gate.set()
    assert [(await call).status_code for call in calls] == [200] * 2
    running.assert_idle()
