"""Bodies that come slowly or many at once: a time-out, and room that is taken before reading and freed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from itertools import cycle, islice

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from python_multipart import MultipartParser
from running_service import Unmetered
from small_calls import score_body
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Scope

from edit_rrm.wire import ScoreRequest
from edit_rrm_server.admission.byte_budget import ByteBudget
from edit_rrm_server.errors import BodyTimeoutError, MemoryFullError, RequestRefusedError
from edit_rrm_server.http.envelope import read_envelope
from edit_rrm_server.http.multipart import MAX_PARTS, Part, read_parts
from edit_rrm_server.http.problems import problem_for

BODY = json.dumps(score_body()).encode()
LIMIT_BYTES = 100_000


def bodies(capacity: int, clock: Callable[[], float] = time.monotonic) -> ByteBudget:
    return ByteBudget("bodies", capacity, Unmetered(), clock=clock)


Receive = Callable[[], Awaitable[Message]]


def request_of(
    receive: Receive,
    *,
    length: int | None = None,
    content_type: str = "application/json",
    arrived_s_ago: float = 0.0,
    chunked: bool = False,
) -> Request:
    headers = [(b"content-type", content_type.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    if chunked:
        headers.append((b"transfer-encoding", b"chunked"))
    state = {"arrived_at": time.monotonic() - arrived_s_ago}
    scope: Scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": headers, "state": state}
    return Request(scope, receive)


def chunks_of(body: bytes, chunk_bytes: int = 512) -> Receive:
    """Receives the body in chunks, each after giving way to other tasks."""
    chunks = [body[i : i + chunk_bytes] for i in range(0, len(body), chunk_bytes)] or [b""]

    async def receive() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    return receive


async def silence() -> Message:
    """Receives nothing, ever."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def unread() -> Message:
    pytest.fail("the body was asked for")


class TestTimeout:
    @pytest.mark.timeout(30)  # less than the time-out, which ran from the headers a minute ago
    @pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=X"])
    async def test_a_body_that_never_comes(self, content_type: str) -> None:
        room = bodies(LIMIT_BYTES)
        request = request_of(silence, length=50, content_type=content_type, arrived_s_ago=61.0)
        with room.share() as share:
            with pytest.raises(BodyTimeoutError, match="60 s after the headers"):
                await read_envelope(request, ScoreRequest, LIMIT_BYTES, timeout_s=60.0, share=share)
            assert room.held_bytes == 0  # what was promised holds nothing

    async def test_a_body_that_trickles_is_not_given_more_time_by_each_chunk(self) -> None:
        async def trickle() -> Message:
            await asyncio.sleep(0)
            return {"type": "http.request", "body": b" ", "more_body": True}

        with pytest.raises(BodyTimeoutError):
            await read_envelope(request_of(trickle), ScoreRequest, 2**40, timeout_s=0.05)

    async def test_a_body_within_the_time_is_read(self) -> None:
        request = request_of(chunks_of(BODY), length=len(BODY), arrived_s_ago=59.0)
        envelope = await read_envelope(request, ScoreRequest, LIMIT_BYTES, timeout_s=600.0)
        assert envelope.body_bytes == len(BODY)

    def test_it_is_answered_408_and_ends_the_connection(self) -> None:
        response = problem_for(BodyTimeoutError("late"), "id")
        assert (response.status_code, json.loads(response.body)["code"]) == (408, "body_timeout")
        assert response.headers["Connection"] == "close"


class TestRoom:
    async def test_what_came_is_held_until_the_call_is_over(self) -> None:
        room = bodies(LIMIT_BYTES)
        with room.share() as share:
            request = request_of(chunks_of(BODY), length=len(BODY))
            await read_envelope(request, ScoreRequest, LIMIT_BYTES, share=share)
            assert room.held_bytes == len(BODY)
        assert room.held_bytes == 0

    @pytest.mark.parametrize("declared", [None, 10, len(BODY)])
    async def test_room_is_taken_as_bytes_come_whatever_was_declared(self, declared: int | None) -> None:
        room = bodies(LIMIT_BYTES)
        held = []
        receive = chunks_of(BODY, 100)

        async def watched() -> Message:
            held.append(room.held_bytes)
            return await receive()

        with room.share() as share:
            request = request_of(watched, length=declared, chunked=declared != len(BODY))
            await read_envelope(request, ScoreRequest, LIMIT_BYTES, share=share)
            assert held == list(range(0, len(BODY), 100))
            assert room.held_bytes == len(BODY)

    async def test_with_an_overdraft_none_is_refused_and_one_at_a_time_is_read_beyond_the_room(self) -> None:
        """Each had a part of the room, and waited for the others until its time was up."""
        room, overdraft, most = bodies(len(BODY)), asyncio.Lock(), 0

        async def call() -> int:
            nonlocal most
            with room.share() as share:
                request = request_of(chunks_of(BODY, 100), length=len(BODY))
                work = read_envelope(request, ScoreRequest, LIMIT_BYTES, share=share, overdraft=overdraft)
                read = (await work).body_bytes
                most = max(most, room.held_bytes)
                return read

        async with asyncio.timeout(60):
            assert await asyncio.gather(*(call() for _ in range(5))) == [len(BODY)] * 5
        assert len(BODY) < most <= 2 * len(BODY)
        assert room.held_bytes == 0

    async def test_a_body_without_room_is_refused_unread(self) -> None:
        room = bodies(1000)
        request = request_of(unread, length=101)
        with room.share() as early, room.share() as late:
            early.take(900)
            with pytest.raises(MemoryFullError, match="900 bytes of at most 1000") as caught:
                await read_envelope(request, ScoreRequest, LIMIT_BYTES, share=late)
            assert (caught.value.code, room.held_bytes) == ("memory_full", 900)
        assert problem_for(caught.value, "id").headers["Retry-After"] == "1"

    async def test_a_body_too_large_or_of_another_type_takes_none(self) -> None:
        room = bodies(10**9)
        for request in (
            request_of(unread, length=LIMIT_BYTES + 1),
            request_of(unread, length=10, content_type="text/plain"),
        ):
            with room.share() as share:
                with pytest.raises(RequestRefusedError):
                    await read_envelope(request, ScoreRequest, LIMIT_BYTES, share=share)
                assert room.held_bytes == 0

    async def test_whatever_ends_the_reading_gives_the_room_back(self) -> None:
        room = bodies(LIMIT_BYTES)

        async def gone() -> Message:
            return {"type": "http.disconnect"}

        for receive, error in (
            (gone, ClientDisconnect),
            (chunks_of(b"{"), RequestRefusedError),
            (chunks_of(b" " * (LIMIT_BYTES + 1)), RequestRefusedError),
        ):
            with pytest.raises(error), room.share() as share:
                await read_envelope(request_of(receive), ScoreRequest, LIMIT_BYTES, share=share)
            assert room.held_bytes == 0

    async def test_bodies_beyond_the_room_are_refused_and_the_others_read(self) -> None:
        room = bodies(3 * len(BODY))
        most = 0

        async def call() -> bool:
            nonlocal most
            with room.share() as share:
                try:
                    request = request_of(chunks_of(BODY), length=len(BODY))
                    await read_envelope(request, ScoreRequest, LIMIT_BYTES, share=share)
                except MemoryFullError:
                    return False
                most = max(most, room.held_bytes)
                return True

        read = await asyncio.gather(*(call() for _ in range(10)))
        assert {True, False} == set(read)
        assert most <= 3 * len(BODY)
        assert room.held_bytes == 0


def test_the_wait_is_as_long_as_the_missing_room_took_to_become_free() -> None:
    now = 0.0
    room = bodies(1000, clock=lambda: now)
    share = room.share()
    share.take(1000)
    for now, left in ((10.0, 900), (20.0, 800)):  # noqa: B007  the clock reads it
        share.free(share.held_bytes - left)
    # 200 bytes in 10 s, and 600 are missing.
    with pytest.raises(MemoryFullError) as caught:
        room.take(800)
    assert caught.value.retry_after_s == 30.0
    now = 60.0  # nothing became free for half a minute
    with pytest.raises(MemoryFullError) as caught:
        room.take(800)
    assert caught.value.retry_after_s == 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 700), st.booleans()), max_size=60))
def test_what_is_held_is_the_sum_of_the_shares_and_never_above_the_room(
    steps: list[tuple[int, int, bool]],
) -> None:
    room = bodies(1000)
    shares = [room.share() for _ in range(5)]
    expected = [0] * 5
    for which, count, taking in steps:
        if taking:
            fits = sum(expected) + count <= 1000
            try:
                shares[which].take(count)
            except MemoryFullError:
                assert not fits
            else:
                assert fits
                expected[which] += count
        else:
            freed = min(expected[which], count)
            shares[which].free(freed)
            expected[which] -= freed
        assert room.held_bytes == sum(expected)
    for share in shares:
        share.free(share.held_bytes)
    assert room.held_bytes == 0


def form(parts: int) -> bytes:
    """A multipart body of the boundary X with so many parts."""
    made = b"".join(
        b'--X\r\nContent-Disposition: form-data; name="p%d"\r\n\r\n%d\r\n' % (n, n) for n in range(parts)
    )
    return made + b"--X--\r\n"


async def test_parts_are_counted() -> None:
    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        yield body

    found = await read_parts(chunks(form(MAX_PARTS)), b"X")
    assert [part.whole() for part in found.values()] == [b"%d" % n for n in range(MAX_PARTS)]
    with pytest.raises(RequestRefusedError, match="more than 256 parts"):
        await read_parts(chunks(form(MAX_PARTS + 1)), b"X")


@given(st.integers(1, 700), st.binary(max_size=2000))
@example(1, b"-")
@settings(max_examples=60, deadline=None)
async def test_a_part_is_what_was_sent_however_it_is_cut(size: int, data: bytes) -> None:
    body = b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + data + b"\r\n--X--\r\n"
    if b"\r\n--X" in data:
        return

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    assert (await read_parts(chunks(), b"X"))["a"].whole() == data


FRAGMENTS = [
    b"\r",
    b"\n",
    b"\r\n",
    b"-",
    b"--",
    b"X",
    b"\r\n--X",
    b"\r\n--X-",
    b"\r\n--X\r",
    b"ab",
    b"c" * 40,
]


@given(st.lists(st.integers(1, 90), min_size=1), st.lists(st.sampled_from(FRAGMENTS), max_size=40))
@settings(max_examples=300, deadline=None)
async def test_a_form_means_the_same_however_it_is_cut(sizes: list[int], fragments: list[bytes]) -> None:
    """What nearly is a boundary, at the end of a chunk or the start of the next, among others."""
    part = b'Content-Disposition: form-data; name="%s"\r\n\r\n'
    body = b"--X\r\n" + part % b"a" + b"".join(fragments) + b"\r\n--X\r\n" + part % b"b" + b"end\r\n--X--\r\n"

    async def read(cuts: Iterable[int]) -> dict[str, bytes] | str:
        async def chunks() -> AsyncIterator[bytes]:
            start = 0
            for size in cuts:
                if start < len(body):
                    yield body[start : start + size]
                start += size

        try:
            return {name: found.whole() for name, found in (await read_parts(chunks(), b"X")).items()}
        except RequestRefusedError as error:
            return error.code

    assert await read(islice(cycle(sizes), len(body))) == await read([len(body)])


@pytest.mark.parametrize(
    "piece",
    [b'--X\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n\r\n', b"\r\n--X.", b"\r\n--X\r\n\r\n"],
    ids=["parts", "boundaries that end nothing", "parts without a name"],
)
async def test_more_boundaries_than_parts_may_be_are_refused_before_they_are_parsed(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    write = MultipartParser.write
    monkeypatch.setattr(MultipartParser, "write", lambda self, data: parsed.append(data) or write(self, data))

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
        yield piece * 100_000

    with pytest.raises(RequestRefusedError, match="more than 256 parts"):
        await read_parts(chunks(), b"X")
    assert sum(map(len, parsed)) < 100


def test_a_part_that_comes_byte_by_byte_is_kept_in_one_piece() -> None:
    part = Part()
    for byte in b"edit" * 1000:
        part.add(bytes([byte]), 0, 1)
    assert part.whole() == b"edit" * 1000
    assert len(part._pieces) == 1
