"""What a connection may do before its caller is known, and after its answer: uvicorn's protocol with bounds.

Headers are bounded in size and time, connections in number: at the limit one that waits for a request makes
room, those first that never sent one. A body that nobody reads any more, and an answer that its caller does
not take, end their connection after a while.
"""

import asyncio
import json
import logging
import resource
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from edit_rrm_server.http.problems import MEDIA_TYPE, problem
from edit_rrm_server.observe.http_metrics import HttpMetrics

# What anyone can send is counted, not told: a line each would fill the disk.
_quiet = logging.getLogger("uvicorn.error.connection")
_quiet.setLevel(logging.ERROR)

_MOST_CONNECTIONS = 8192
_FILES_KEPT_FREE = 128
"""Descriptors for everything else: logs, spools, the engine's pipes, connections not yet counted."""

SERVICE_WAITS = "service_waits"
"""In a request's state: it is the service that reads no further, so the caller's silence says nothing."""

Ended = Literal[
    "silent",
    "evicted",
    "refused",
    "slow_headers",
    "large_headers",
    "bad_http",
    "unread_body",
    "unread_answer",
]
"""Why a connection was ended."""


@dataclass(frozen=True)
class ConnectionLimits:
    """`unread_body_s`: how long the rest of a body may come after its answer, to be thrown away."""

    max_connections: int
    max_header_bytes: int = 64 * 2**10
    header_timeout_s: float = 20.0
    unread_body_s: float = 10.0
    unread_answer_s: float = 300.0


def connections_for(wanted: int | None, files_open: int) -> int:
    """How many connections there may be at once: as many as wanted, and as there are descriptors for.

    Raises the process's own limit of descriptors to what it is allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = wanted or _MOST_CONNECTIONS
    if hard == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, hard - files_open - _FILES_KEPT_FREE))


def bounded_protocol(limits: ConnectionLimits, metrics: HttpMetrics) -> type[HttpToolsProtocol]:
    """The protocol class for uvicorn's `http` setting. Connections are counted over all its instances."""
    idle = _Idle()

    class Bounded(BoundedProtocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(limits, idle, metrics, *args, **kwargs)

    return Bounded


class _Idle:
    """Connections that wait for a request, those that never sent one apart; the oldest first."""

    def __init__(self) -> None:
        self._silent: dict[BoundedProtocol, None] = {}
        self._kept: dict[BoundedProtocol, None] = {}

    def __len__(self) -> int:
        return len(self._silent) + len(self._kept)

    def enter(self, connection: "BoundedProtocol", silent: bool) -> None:
        (self._silent if silent else self._kept)[connection] = None

    def leave(self, connection: "BoundedProtocol") -> None:
        self._silent.pop(connection, None)
        self._kept.pop(connection, None)

    def oldest(self) -> "BoundedProtocol | None":
        """The one that is missed least."""
        return next(iter(self._silent or self._kept), None)


class BoundedProtocol(HttpToolsProtocol):
    """See the module. One instance a connection."""

    def __init__(
        self, limits: ConnectionLimits, idle: _Idle, metrics: HttpMetrics, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _quiet
        self._limits = limits
        self._idle = idle
        self._metrics = metrics
        self._in_headers = True
        self._completed = False
        self._header_bytes = self._field_bytes = 0
        self._refusal = ("bad_http", "what came is not HTTP")
        self._header_timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._received = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection came. Where there are too many, another one goes, or this one is refused."""
        super().connection_made(transport)
        self._metrics.connection_opened()
        if len(self.connections) > self._limits.max_connections:
            oldest = self._idle.oldest()
            if oldest is None:
                detail = f"{self._limits.max_connections} connections are being served"
                self._end("refused", "too_many_connections", detail)
                return
            oldest.evict()
        self._idle.enter(self, silent=True)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._metrics.connection_closed()
        self._idle.leave(self)
        for timer in (self._header_timer, self._drain_timer, self._answer_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def evict(self, why: Ended = "evicted") -> None:
        """Ends a connection that waits for a request."""
        self._metrics.connection_ended(why)
        self._idle.leave(self)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Bytes came. Those of headers are counted; what follows a refusal is thrown away."""
        if self.transport.is_closing():
            return
        self._received = True
        self._completed = False
        if self._in_headers and self._header_timer is None:
            self._await_headers()
        super().data_received(data)
        if self._completed:
            self._header_bytes = 0  # what is left of the chunk belongs to the next request
        elif self._in_headers:
            self._count_headers(len(data))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came. Raises ValueError, which ends the parser, where there are too many bytes of them."""
        super().on_header(name, value)
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > self._limits.max_header_bytes:
            self._refusal = ("headers_too_large", self._too_large)
            raise ValueError(self._too_large)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._field_bytes = 0

    def on_headers_complete(self) -> None:
        """The headers are whole: the connection is in use."""
        self._in_headers = False
        self._header_bytes = 0
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        self._idle.leave(self)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._in_headers = self._completed = True
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
        super().on_message_complete()
        if self.cycle.response_complete:
            self._idle.enter(self, silent=False)

    def on_response_complete(self) -> None:
        """The answer is whole. The rest of a body that it did not wait for may come for a while."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if not self._in_headers:
            self._drain_timer = self.loop.call_later(self._limits.unread_body_s, self._body_goes_on)
        elif self.cycle.response_complete:
            self._idle.enter(self, silent=False)

    def pause_writing(self) -> None:
        """The caller does not take its answer as fast as it is written."""
        super().pause_writing()
        self._received = False
        self._answer_timer = self.loop.call_later(self._limits.unread_answer_s, self._answer_unread)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def send_400_response(self, msg: str) -> None:
        """Answers what the parser refused, as every error is answered."""
        code, detail = self._refusal
        self._end("large_headers" if code == "headers_too_large" else "bad_http", code, detail)

    @property
    def _too_large(self) -> str:
        return f"the headers have more than {self._limits.max_header_bytes} bytes"

    def _await_headers(self) -> None:
        self._header_timer = self.loop.call_later(self._limits.header_timeout_s, self._headers_late)

    def _count_headers(self, count: int) -> None:
        self._header_bytes += count
        if self._header_bytes > self._limits.max_header_bytes and not self.transport.is_closing():
            self._end("large_headers", "headers_too_large", self._too_large)

    def _headers_late(self) -> None:
        if not self._received:  # nobody waits for an answer
            self.evict("silent")
            return
        detail = f"the headers were not complete after {self._limits.header_timeout_s:g} s"
        self._end("slow_headers", "header_timeout", detail)

    def _body_goes_on(self) -> None:
        self._metrics.connection_ended("unread_body")
        self.transport.abort()

    def _answer_unread(self) -> None:
        # It sends first and reads afterwards, as most clients of a stream do, or would if it were read.
        if self._received or self.scope.get("state", {}).get(SERVICE_WAITS):
            self._received = False
            self._answer_timer = self.loop.call_later(self._limits.unread_answer_s, self._answer_unread)
            return
        self._metrics.connection_ended("unread_answer")
        self.transport.abort()

    def _end(self, why: Ended, code: str, detail: str) -> None:
        """Answers a connection that has no request to answer, and closes it."""
        if self.transport.is_closing():
            return
        self._metrics.connection_ended(why)
        self._idle.leave(self)
        shown = problem(code, detail, uuid.uuid4().hex)
        body = json.dumps(shown.model_dump(exclude_none=True)).encode()
        head = (
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"x-request-id: {shown.instance}\r\nconnection: close\r\n"
        )
        if shown.status in (429, 503):
            head += "retry-after: 5\r\n"
        self.transport.write(STATUS_LINE[shown.status] + head.encode() + b"\r\n" + body)
        self.transport.close()
