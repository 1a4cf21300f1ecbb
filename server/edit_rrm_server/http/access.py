"""What surrounds every request: its id, the key check and the rate limit, the log line, the counters, the
answer to a defect.

A plain ASGI middleware, so that nothing stands between the routes and the connection.
"""

import json
import logging
import time
import traceback
import uuid
from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edit_rrm_server.admission.rate_limit import RateLimiter, caller_at
from edit_rrm_server.errors import ServiceError
from edit_rrm_server.http.key_ring import KeyRing
from edit_rrm_server.http.problems import CALLER_GONE_STATUS, problem_for, problem_response
from edit_rrm_server.observe import tracing
from edit_rrm_server.observe.http_metrics import HttpMetrics
from edit_rrm_server.settings.server import ServerSettings

REQUEST_ID_HEADER = "X-Request-ID"
_MAX_ID_CHARS = 128
_METRICS_PATH = "/metrics"
# Open to anyone who reaches the port, as often as they like: they answer nothing of a caller's.
_OPEN_PATHS = frozenset({"/health", "/ready"})
_ADMIN_PATHS = "/v1/admin/"

access_log = logging.getLogger("edit_rrm_server.http.access")


class AccessMiddleware:
    """See the module. Without keys everyone may call, and the rate limit counts addresses instead.

    `static_paths` are as open as the probes: what they answer is the same for everyone.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: HttpMetrics,
        settings: ServerSettings,
        static_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._keys = KeyRing(settings.all_keys)
        self._open_paths = _OPEN_PATHS.union(static_paths)
        self._admin_keys = KeyRing(settings.all_admin_keys)
        self._metrics_need_key = settings.metrics_need_key
        rate_per_s, burst = settings.rate_limit_per_s, settings.rate_limit_burst
        self._limiter = None if rate_per_s is None else RateLimiter(rate_per_s, burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get(REQUEST_ID_HEADER))
        scope.setdefault("state", {}).update({"request_id": request_id, "arrived_at": time.monotonic()})
        answer = _Answer(send, request_id)
        try:
            try:
                self._admit(scope, headers.get("authorization"))
                answering = self._app
            except ServiceError as refusal:
                scope["state"]["code"] = refusal.code
                answering = problem_for(refusal, request_id)
            await self._traced(answering, scope, receive, answer)
        except ClientDisconnect:
            scope["state"]["code"] = "caller_gone"
            answer.status = answer.status or CALLER_GONE_STATUS
        except Exception as error:
            # Frames only: the message of an unforeseen error might quote what the caller sent.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logging.getLogger(__name__).error(
                "defect in request %s: %s\n%s", request_id, type(error).__name__, frames
            )
            scope["state"]["code"] = "internal"
            if not answer.status:
                await problem_response("internal", "see the service's log", request_id)(
                    scope, receive, answer.send
                )
        finally:
            self._report(scope, request_id, answer)

    def _admit(self, scope: Scope, authorization: str | None) -> None:
        """Lets a request pass whose path is open, or whose caller may call and not too often.

        Raises RequestRefusedError (missing_key, bad_key) and RateLimitedError; the body is unread then.
        """
        path = scope["path"]
        if path in self._open_paths or (path == _METRICS_PATH and not self._metrics_need_key):
            return
        if self._admin_keys and path.startswith(_ADMIN_PATHS):
            caller = f"admin key {self._admin_keys.owner(authorization)}"
        elif self._keys:
            caller = f"key {self._keys.owner(authorization)}"
        else:
            caller = caller_at(scope["client"][0] if scope.get("client") else None)
        scope["state"]["caller"] = caller
        if self._limiter is not None and path != _METRICS_PATH:
            self._limiter.admit(caller)

    async def _traced(self, answering: ASGIApp, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        """Answers inside the request's span; what machines ask every few seconds has none."""
        if scope["path"] in _OPEN_PATHS or scope["path"] == _METRICS_PATH:
            await answering(scope, receive, answer.send)
            return
        request_id = scope["state"]["request_id"]
        with tracing.caller_span("request", Headers(scope=scope), request_id=request_id) as span:
            await answering(scope, receive, answer.send)
            span.note(route=_route(scope), status=answer.status, code=scope["state"].get("code", "ok"))

    def _report(self, scope: Scope, request_id: str, answer: "_Answer") -> None:
        state = scope["state"]
        duration_s = time.monotonic() - state["arrived_at"]
        route = _route(scope)
        status = answer.status or CALLER_GONE_STATUS
        code = state.get("code", "ok" if answer.status else "caller_gone")
        self._metrics.request_answered(route, status, code, duration_s)
        line = {
            "event": "request",
            "id": request_id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "code": code,
            "total_s": round(duration_s, 4),
            "answer_bytes": answer.body_bytes,
            **state.get("log", {}),
        }
        level = logging.DEBUG if route in ("/health", "/ready", "/metrics") else logging.INFO
        access_log.log(level, json.dumps(line, separators=(",", ":")))


def note(request: Request, **facts: Any) -> None:
    """Facts for the request's log line: ids, sizes, timings and codes, never content."""
    if not hasattr(request.state, "log"):
        request.state.log = {}
    request.state.log.update(facts)


class _Answer:
    """Watches an answer on its way out: adds the request id, notes status and size."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0
        self.body_bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        elif message["type"] == "http.response.body":
            self.body_bytes += len(message.get("body", b""))
        await self._send(message)


def _route(scope: Scope) -> str:
    """The template of the path that answered."""
    route: str = getattr(scope.get("route"), "path", "unknown")
    return route


def _request_id(given: str | None) -> str:
    """The caller's id if it is short, printable ASCII; else a new one."""
    if (
        given
        and len(given) <= _MAX_ID_CHARS
        and given.isascii()
        and given.isprintable()
        and not given.isspace()
    ):
        return given
    return uuid.uuid4().hex
