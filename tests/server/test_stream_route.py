"""POST /v1/score/stream: every line is answered, in any order, and reading slows when the lane is full."""

import asyncio
import errno
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running_service import Running, Start, Unmetered, until
from small_calls import b64, picture, png, score_body
from starlette.types import Message

from edit_rrm_server.admission.byte_budget import ByteBudget
from edit_rrm_server.api.answer_spool import AnswerSpool
from edit_rrm_server.http.ndjson import TURN_LINES, Line, read_lines

NDJSON = {"content-type": "application/x-ndjson"}


def line(key: Any, **fields: Any) -> bytes:
    """A request line; a colour of its own keeps every line out of the score cache."""
    number = key if isinstance(key, int) else 0
    candidate = b64(png(picture((number % 200, 40, 220))))
    return json.dumps({**score_body(candidates=[candidate]), "key": key, **fields}).encode() + b"\n"


async def answers(running: Running, body: bytes) -> dict[int, dict[str, Any]]:
    """The stream's answers by line."""
    response = await running.http.post("/v1/score/stream", content=body, headers=NDJSON)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(text) for text in response.text.splitlines()]
    assert len({answer["line"] for answer in found}) == len(found)
    return {answer["line"]: answer for answer in found}


class Connection:
    """One side of a request to the application whose body is sent, and whose answer is read, by hand."""

    def __init__(self, running: Running) -> None:
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.taken = 0
        scope = {
            "type": "http", "method": "POST", "path": "/v1/score/stream", "raw_path": b"/v1/score/stream",
            "query_string": b"", "headers": [(b"content-type", b"application/x-ndjson")],
            "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("service", 80),
        }  # fmt: skip
        self.task = asyncio.create_task(running.app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        message = await self._incoming.get()
        self.taken += 1
        return message

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.may_send.wait()
        self.sent.append(message)

    def write(self, body: bytes, more: bool = True) -> None:
        """Sends a chunk of the body."""
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def close(self) -> None:
        """Goes away."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What has been answered so far."""
        return [json.loads(m["body"]) for m in self.sent if m.get("body")]


async def test_every_line_is_answered_under_its_key(running: Running) -> None:
    body = line(1) + line("two") + b"\n" + line(None, instruction="make it blue")
    found = await answers(running, body)
    assert {number: answer["key"] for number, answer in found.items()} == {1: 1, 2: "two", 4: None}
    assert all(answer["results"][0]["reward"] == 0.6 for answer in found.values())
    running.assert_idle()


async def test_a_bad_line_costs_itself_only(start: Start) -> None:
    running = await start(max_body_bytes=100_000)
    body = (
        line(1)
        + b"{not json}\n"
        + b'{"key": "k3", "instruction": ""}\n'
        + line(4, candidates=[{"b64": "AAAA"}])
        + line(5, candidates=[{"part": "a"}])
        + b'{"key": 6, "pad": "' + b"x" * 100_000 + b'"}\n'
        + line(7).rstrip(b"\n")
    )  # fmt: skip
    found = await answers(running, body)
    codes = {number: answer.get("error", {}).get("code") for number, answer in found.items()}
    assert codes == {
        1: None, 2: "malformed_json", 3: "invalid_request", 4: "unsupported_image",
        5: "invalid_request", 6: "body_too_large", 7: None,
    }  # fmt: skip
    assert [found[n]["key"] for n in (2, 3, 4)] == [None, "k3", 4]
    assert found[3]["error"]["detail"].startswith("instruction: ")


async def test_reading_slows_when_the_bulk_lane_is_full(start: Start) -> None:
    running = await start(window=2, queue_capacity=100)
    running.engine.gate = asyncio.Event()
    connection = Connection(running)
    for number in range(40):
        connection.write(line(number), more=number < 39)
    await until(lambda: running.service.batcher.waiting_by_lane["bulk"] >= 2)
    for _ in range(200):
        await asyncio.sleep(0)
    assert connection.taken < 12
    running.engine.gate.set()
    await connection.task
    assert sorted(answer["key"] for answer in connection.answers) == list(range(40))
    running.assert_idle()


async def test_answers_come_while_lines_are_still_being_sent(running: Running) -> None:
    connection = Connection(running)
    connection.write(line(1))
    await until(lambda: connection.answers)
    connection.write(line(2), more=False)
    await connection.task
    assert [answer["key"] for answer in connection.answers] == [1, 2]


@pytest.mark.slow
async def test_a_caller_who_only_reads_at_the_end_gets_everything(start: Start) -> None:
    running = await start(window=2)
    connection = Connection(running)
    connection.may_send.clear()
    for number in range(600):
        connection.write(line(number, principles=None) if number == 0 else line(number), more=number < 599)
    await until(lambda: connection.taken == 600)
    connection.may_send.set()
    await connection.task
    assert sorted(answer["key"] for answer in connection.answers) == list(range(600))


async def test_a_caller_who_leaves_has_all_its_work_cancelled(running: Running) -> None:
    running.engine.gate = asyncio.Event()
    connection = Connection(running)
    for number in range(3):
        connection.write(line(number))
    await until(lambda: running.engine.running == 3)
    connection.close()
    await connection.task
    assert running.engine.aborted == 3
    assert 'edit_rrm_jobs_dropped_total{place="engine",reason="cancelled"} 3.0' in (
        running.service.metrics.exposition().decode()
    )
    running.assert_idle()


async def test_a_caller_who_leaves_after_the_last_line_is_noticed_too(running: Running) -> None:
    running.engine.gate = asyncio.Event()
    connection = Connection(running)
    connection.write(line(1), more=False)
    await until(lambda: running.engine.running == 1)
    connection.close()
    await connection.task
    assert running.engine.aborted == 1
    running.assert_idle()


async def test_a_caller_who_leaves_while_reading_is_paused_is_noticed(start: Start) -> None:
    running = await start(window=2, queue_capacity=100)
    running.engine.gate = asyncio.Event()
    connection = Connection(running)
    connection.write(b"".join(line(number) for number in range(8)))
    await until(lambda: running.engine.running == 2)
    connection.close()
    async with asyncio.timeout(10.0):
        await connection.task
    assert running.engine.aborted == 2
    assert len(running.engine.asked) == 2
    running.assert_idle()


async def test_a_caller_who_leaves_a_stream_that_reads_no_further_is_noticed(running: Running) -> None:
    """What had come and was not taken stood before the news."""
    running.engine.gate = asyncio.Event()
    connection = Connection(running)
    connection.write(line(1))
    await until(lambda: running.engine.running == 1)
    running.service.failure = RuntimeError("the engine was given up")
    connection.write(line(2))
    await until(lambda: connection.answers)
    assert [answer["line"] for answer in connection.answers] == [2]
    connection.write(line(3))
    connection.write(line(4))
    connection.close()
    await connection.task
    running.service.failure = None
    assert running.engine.aborted == 1
    running.assert_idle()


async def test_a_line_s_deadline_is_its_own(start: Start) -> None:
    running = await start()
    running.engine.gate = asyncio.Event()
    connection = Connection(running)
    connection.write(line(1, deadline_s=0.05) + line(2))
    await until(lambda: connection.answers)
    assert [(a["key"], a["error"]["code"]) for a in connection.answers] == [(1, "deadline_exceeded")]
    running.engine.gate.set()
    connection.write(b"", more=False)
    await connection.task
    assert connection.answers[1]["key"] == 2


async def test_a_defect_costs_its_line_only(running: Running) -> None:
    good = running.engine.script

    def script(asked: Any) -> str:
        if "defective" in asked.text:
            raise KeyError("secret of the caller")
        return good(asked)

    running.engine.script = script
    found = await answers(running, line(1, instruction="a defective one") + line(2))
    assert found[1]["error"]["code"] == "internal"
    assert "secret" not in json.dumps(found[1])
    assert found[2]["results"][0]["status"] == "ok"


async def test_draining_answers_what_was_read_and_says_where_it_stopped(running: Running) -> None:
    connection = Connection(running)
    running.engine.gate = asyncio.Event()
    connection.write(line(1))
    await until(lambda: running.engine.running == 1)
    draining = asyncio.create_task(running.service.drain(30.0))
    await until(lambda: any("error" in answer for answer in connection.answers))
    running.engine.gate.set()
    await connection.task
    assert await draining
    assert [(a["line"], a.get("error", {}).get("code")) for a in connection.answers] == [
        (2, "draining"),
        (1, None),
    ]


async def test_only_ndjson_is_taken(running: Running) -> None:
    response = await running.http.post("/v1/score/stream", json={})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.integers(1, 7))
def test_lines_do_not_depend_on_how_the_body_was_cut(texts: list[bytes], size: int) -> None:
    async def scenario() -> None:
        body = b"".join(text + b"\n" for text in texts)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(body), size):
                yield body[start : start + size]

        room = ByteBudget("bodies", 1000, Unmetered()).share()
        found = [found async for found in read_lines(chunks(), 8, room)]
        assert found == [
            Line(number, text if len(text) <= 8 else None) for number, text in enumerate(texts, start=1)
        ]
        assert room.held_bytes == sum(len(text) for text in texts if len(text) <= 8)

    asyncio.run(scenario())


@pytest.mark.parametrize("text", [b"\n", b"x\n"])
async def test_others_have_their_turn_while_a_chunk_of_many_lines_is_read(text: bytes) -> None:
    turns, lines_by_turn = 0, Counter[int]()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def chunks() -> AsyncIterator[bytes]:
        yield text * 10_000

    room = ByteBudget("bodies", 10**6, Unmetered()).share()
    task = asyncio.create_task(others())
    async for _ in read_lines(chunks(), 100, room):
        lines_by_turn[turns] += 1
    task.cancel()
    assert lines_by_turn.total() == 10_000
    assert max(lines_by_turn.values()) <= TURN_LINES


async def test_two_thousand_lines_of_nothing_are_answered_each(running: Running) -> None:
    found = await answers(running, b"x\n" * 2000)
    assert {answer["error"]["code"] for answer in found.values()} == {"malformed_json"}
    assert len(found) == 2000


class TestSpool:
    """Answers that wait for a slow reader."""

    LINES = tuple(f"{n:07}\n".encode() * (1 + n % 3) for n in range(400))

    async def filled(self, spool: AnswerSpool) -> None:
        for text in self.LINES:
            await spool.put(text)
        await spool.close()

    async def read(self, spool: AnswerSpool) -> list[bytes]:
        found = []
        while (text := await spool.get()) is not None:
            found.append(text)
        return found

    @pytest.mark.parametrize("capacity", [64, 1024])
    async def test_it_keeps_the_order_and_bounds_its_file(self, capacity: int) -> None:
        budget = ByteBudget("answers", 10**6, Unmetered())
        spool = AnswerSpool(capacity, budget)
        filling = asyncio.create_task(self.filled(spool))
        for _ in range(2000):
            await asyncio.sleep(0)
        assert 0 < spool.spooled_bytes < capacity + 24
        assert not filling.done()
        assert await self.read(spool) == list(self.LINES)
        await filling
        spool.discard()
        assert budget.held_bytes == 0

    async def test_large_answers_are_not_kept_in_memory(self) -> None:
        spool = AnswerSpool(2**30, ByteBudget("answers", 2**30, Unmetered()))
        for _ in range(10):
            await spool.put(bytes(2**19))
        assert spool.spooled_bytes == 8 * 2**19
        spool.discard()

    async def test_the_spools_of_all_streams_share_a_budget(self) -> None:
        budget = ByteBudget("answers", 100, Unmetered())
        one, other = AnswerSpool(2**30, budget), AnswerSpool(2**30, budget)
        await one.put(bytes(90))
        putting = asyncio.create_task(other.put(bytes(20)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not putting.done()
        assert len(await one.get() or b"") == 90
        await putting
        one.discard()
        other.discard()
        assert budget.held_bytes == 0

    async def test_a_full_disk_loses_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        budget = ByteBudget("answers", 10**6, Unmetered())
        spool = AnswerSpool(2**20, budget)
        free = 300
        write = os.pwrite

        def short_of_space(fd: int, data: bytes, offset: int) -> int:
            if offset >= free:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(fd, data[: free - offset], offset)

        monkeypatch.setattr(os, "pwrite", short_of_space)
        filling = asyncio.create_task(self.filled(spool))
        for _ in range(2000):
            await asyncio.sleep(0)
        assert not filling.done()
        assert spool.spooled_bytes <= 300
        assert await self.read(spool) == list(self.LINES)
        await filling
        spool.discard()
