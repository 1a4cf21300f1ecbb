"""What surrounds every request: its id, the key check, the log line, the counters, the answer to a defect.

A plain ASGI middleware, so that nothing stands between the routes and the connection.
"""

import hmac
import json
import logging
import time
import traceback
import uuid
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edit_rrm_server.metrics import ServiceMetrics
from edit_rrm_server.problems import CALLER_GONE_STATUS, problem_response

REQUEST_ID_HEADER = "X-Request-ID"
_MAX_ID_CHARS = 128
# Open to anyone who reaches the port: they answer nothing of a caller's.
_OPEN_PATHS = frozenset({"/", "/health", "/ready", "/metrics", "/docs", "/openapi.json"})

access_log = logging.getLogger("edit_rrm_server.access")


class AccessMiddleware:
    """See the module. With `api_keys` empty everyone may call."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics, api_keys: Sequence[SecretStr]) -> None:
        self._app = app
        self._metrics = metrics
        self._api_keys = [key.get_secret_value().encode() for key in api_keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get(REQUEST_ID_HEADER))
        scope.setdefault("state", {}).update({"request_id": request_id, "arrived_at": time.monotonic()})
        answer = _Answer(send, request_id)
        refused = self._refusal(scope["path"], headers.get("authorization"))
        try:
            if refused is not None:
                code, detail = refused
                scope["state"]["code"] = code
                await problem_response(code, detail, request_id)(scope, receive, answer.send)
            else:
                await self._app(scope, receive, answer.send)
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

    def _refusal(self, path: str, authorization: str | None) -> tuple[str, str] | None:
        """The code and detail of a missing or wrong key; None if the request may pass."""
        if not self._api_keys or path in _OPEN_PATHS:
            return None
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            return "missing_key", "send the key as 'Authorization: Bearer <key>'"
        given = key.strip().encode()
        # Compares with every key, so that the time tells neither which one matched nor how far.
        matches = [hmac.compare_digest(given, known) for known in self._api_keys]
        return None if any(matches) else ("bad_key", "the key is not one of this service's")

    def _report(self, scope: Scope, request_id: str, answer: "_Answer") -> None:
        state = scope["state"]
        duration_s = time.monotonic() - state["arrived_at"]
        route = getattr(scope.get("route"), "path", "unknown")
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
