"""The envelope of a request: content type, size, JSON or multipart, and where each image's bytes are.

No image is decoded here: room in the queue is asked for first.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from edit_rrm.wire import ImageRef
from edit_rrm_server.admission.byte_budget import Share
from edit_rrm_server.errors import BodyTimeoutError, RequestRefusedError
from edit_rrm_server.http.json_bounds import ONE_EDIT, JsonBounds
from edit_rrm_server.http.json_reading import read_json
from edit_rrm_server.http.multipart import Part, boundary_of, read_parts
from edit_rrm_server.http.problems import shortened

REQUEST_PART = "request"
Body = TypeVar("Body", bound=BaseModel)
BodyRead = TypeVar("BodyRead", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class Envelope(Generic[BodyRead]):
    """A validated body and the parts that came with it; `body_bytes` is what was read, `share` its room."""

    body: BodyRead
    parts: dict[str, Part]
    body_bytes: int
    share: Share | None = None

    def encoded_images(self, refs: Mapping[str, ImageRef]) -> dict[str, Part | str]:
        """The part or base64 text of each image, by the path of its field.

        Raises RequestRefusedError for a part that did not come, and for one that no field names.
        """
        named = {ref.part: path for path, ref in refs.items() if ref.part is not None}
        for part, path in named.items():
            if part not in self.parts:
                raise RequestRefusedError("invalid_request", f"{path}.part: no part is named {part!r}")
        for part in self.parts:
            if part not in named:
                raise RequestRefusedError(
                    "invalid_request", f"request: no field names the part {shortened(part)!r}"
                )
        return {path: ref.b64 or self.parts[ref.part or ""] for path, ref in refs.items()}


async def read_envelope(
    request: Request,
    model: type[Body],
    max_body_bytes: int,
    *,
    timeout_s: float | None = None,
    share: Share | None = None,
    overdraft: asyncio.Lock | None = None,
    bounds: JsonBounds = ONE_EDIT,
) -> Envelope[Body]:
    """The request's body as `model`, whose JSON is within `bounds`.

    `timeout_s` counts from the arrival of the headers. `share` takes the body's room as it comes, and goes on
    holding it; one that is declared too large for what is left is refused unread. With an `overdraft` none is
    refused: one at a time, who holds it, is read beyond the room there is, so that those who have a part
    of theirs do not wait for one another.

    Raises RequestRefusedError: unsupported_media_type, body_too_large (while reading, before more is
    taken in), malformed_json, malformed_multipart, or invalid_request with the path of the field;
    MemoryFullError if `share` finds no room; BodyTimeoutError.
    """
    content_type = request.headers.get("content-type", "")
    media_type = content_type.split(";")[0].strip().lower()
    counter = _Counter(request, max_body_bytes, share, overdraft)
    async with _time_limit(request, timeout_s):
        if media_type == "application/json":
            json_bytes = b"".join([chunk async for chunk in counter.chunks()])
            parts: dict[str, Part] = {}
        elif media_type == "multipart/form-data":
            async with aclosing(counter.chunks()) as chunks:  # a form that is refused frees what it holds
                parts = await read_parts(chunks, boundary_of(content_type))
            if REQUEST_PART not in parts:
                raise RequestRefusedError("malformed_multipart", f"there is no part named {REQUEST_PART!r}")
            json_bytes = parts.pop(REQUEST_PART).whole()
        else:
            raise RequestRefusedError(
                "unsupported_media_type",
                "expected application/json or multipart/form-data, "
                f"got {shortened(media_type) or 'no content type'!r}",
            )
    return Envelope(await read_json(json_bytes, model, bounds), parts, counter.read_bytes, share)


def declared_bytes(request: Request) -> int:
    """The body's declared length; none, as far as one can know, where chunks will tell. Of use as a hint:
    what comes is counted as it comes."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and "transfer-encoding" not in request.headers:
        return int(declared)
    return 0


@asynccontextmanager
async def _time_limit(request: Request, timeout_s: float | None) -> AsyncIterator[None]:
    if timeout_s is None:
        yield
        return
    remaining_s = request.state.arrived_at + timeout_s - time.monotonic()
    try:
        async with asyncio.timeout(max(0.0, remaining_s)):
            yield
    except TimeoutError:
        raise BodyTimeoutError(f"the body was not complete {timeout_s:g} s after the headers") from None


class _Counter:
    """Reads a body and stops at the first byte too many; a declared length too large is refused unread."""

    def __init__(
        self, request: Request, limit_bytes: int, share: Share | None, overdraft: asyncio.Lock | None
    ) -> None:
        self._request = request
        self._limit_bytes = limit_bytes
        self._share = share
        self._overdraft = overdraft
        self._overdraws = False
        self.read_bytes = 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        needed = declared_bytes(self._request)
        if needed > self._limit_bytes:
            raise self._refusal()
        if self._share is not None and self._overdraft is None:
            self._share.check(needed)
        async with AsyncExitStack() as holding:
            async for chunk in self._request.stream():
                self.read_bytes += len(chunk)
                if self.read_bytes > self._limit_bytes:
                    raise self._refusal()
                if chunk:
                    if self._share is not None:
                        await self._take(self._share, len(chunk), holding)
                    yield chunk

    async def _take(self, share: Share, count: int, holding: AsyncExitStack) -> None:
        if self._overdraft is None or share.has_room(count):
            share.take(count)
            return
        if not self._overdraws:
            await holding.enter_async_context(self._overdraft)
            self._overdraws = True
        share.overdraw(count)

    def _refusal(self) -> RequestRefusedError:
        return RequestRefusedError("body_too_large", f"the body has more than {self._limit_bytes} bytes")
