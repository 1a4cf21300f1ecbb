"""What a call does over time, written once for both clients: generators that ask for I/O and get replies.

A flow yields `Send` and `Wait` steps and is sent what came of each; the clients only carry steps
out, one blocking, one awaiting. Retries, deadlines and the readiness poll all live here.
"""

import math
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import httpx

from edit_rrm_client._answers import read_answer, read_error
from edit_rrm_client._calls import AnswerT, Call
from edit_rrm_client._images import EncodedImage
from edit_rrm_client._retries import RetryPolicy
from edit_rrm_client.errors import (
    DeadlineExceededError,
    EditRRMClientError,
    InvalidRequestError,
    ProtocolError,
    UnavailableError,
)

T = TypeVar("T")

GRACE_S = 2.0  # beyond the deadline that the service knows, so that its own 504 can still arrive
PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Send:
    """Send this request; the reply is the response, or why none came."""

    method: str
    url: str
    headers: dict[str, str]
    timeout: httpx.Timeout
    json: bytes | None = None
    parts: tuple[tuple[str, EncodedImage], ...] = ()

    def build(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request as `http` would send it: multipart when there are parts, plain JSON otherwise."""
        if self.parts:
            files: list[tuple[str, tuple[str | None, bytes, str]]] = [
                ("request", (None, self.json or b"", "application/json"))
            ]
            files += [(name, (name, image.data, image.media_type)) for name, image in self.parts]
            return http.build_request(
                self.method, self.url, headers=self.headers, files=files, timeout=self.timeout
            )
        headers = self.headers if self.json is None else {**self.headers, "Content-Type": "application/json"}
        return http.build_request(
            self.method, self.url, headers=headers, content=self.json, timeout=self.timeout
        )


@dataclass(frozen=True)
class Wait:
    """Do nothing for a while; the reply is None."""

    seconds: float


Step: TypeAlias = Send | Wait
Reply: TypeAlias = httpx.Response | httpx.RequestError | None
Flow: TypeAlias = Generator[Step, Reply, T]


@dataclass(frozen=True)
class Endpoint:
    """Where a service listens and what every request to it carries."""

    base_url: str
    headers: dict[str, str]

    @classmethod
    def at(cls, base_url: str, *, api_key: str | None, user_agent: str) -> "Endpoint":
        """Raises InvalidRequestError for what is no http(s) URL, or a key that no header can hold."""
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise InvalidRequestError(
                f"not a usable address: {base_url!r}: {error}", code="bad_url"
            ) from error
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidRequestError(
                f"expected an address such as http://127.0.0.1:8000, got {base_url!r}", code="bad_url"
            )
        headers = {"User-Agent": user_agent, "Accept": "application/json, application/problem+json"}
        if api_key:
            if not (api_key.isascii() and api_key.isprintable()) or api_key != api_key.strip():
                raise InvalidRequestError(
                    "the API key holds characters that no header can carry (a line break?)", code="bad_key"
                )
            headers["Authorization"] = f"Bearer {api_key}"
        return cls(base_url.rstrip("/"), headers)


def call_flow(
    call: Call[AnswerT],
    endpoint: Endpoint,
    policy: RetryPolicy,
    timeout_s: float,
    clock: Callable[[], float],
    dice: Callable[[], float],
) -> Flow[AnswerT]:
    """The call's answer within `timeout_s`, trying again where the policy says that it is safe."""
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise InvalidRequestError(f"the deadline must be a positive number of seconds, got {timeout_s}")
    request_id = uuid.uuid4().hex
    headers = {**endpoint.headers, "X-Request-ID": request_id}
    ends_at_s = clock() + timeout_s
    failures = 0
    while True:
        remaining_s = ends_at_s - clock()
        if remaining_s <= 0:
            raise DeadlineExceededError(f"no answer within {timeout_s:g} s", request_id=request_id)
        wait_at_most_s = min(remaining_s + GRACE_S, policy.attempt_timeout_s or math.inf)
        reply = yield Send(
            call.method,
            endpoint.base_url + call.path,
            headers,
            httpx.Timeout(wait_at_most_s, connect=min(policy.connect_timeout_s, wait_at_most_s)),
            call.body(min(remaining_s, policy.attempt_timeout_s or math.inf)),
            tuple(call.parts.items()),
        )
        try:
            if isinstance(reply, httpx.Response):
                return read_answer(call, reply)
            raise _no_answer(reply, endpoint, last=wait_at_most_s > remaining_s) from reply
        except EditRRMClientError as error:
            error.request_id = error.request_id or request_id
            failures += 1
            wait_s = policy.wait_s(failures, error.retry_after_s, dice())
            if not error.retryable or failures >= policy.attempts or clock() + wait_s >= ends_at_s:
                if failures > 1:
                    error.add_note(f"gave up after {failures} attempts")
                raise
        yield Wait(wait_s)


def _no_answer(error: Reply, endpoint: Endpoint, *, last: bool) -> EditRRMClientError:
    """What it means that a request got no response; `last` when the total deadline is what ran out."""
    reason = str(error) or type(error).__name__
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return UnavailableError(f"cannot connect to {endpoint.base_url}: {reason}")
        case httpx.TimeoutException() if last:
            return DeadlineExceededError(f"{endpoint.base_url} did not answer before the deadline")
        case httpx.TimeoutException():
            return UnavailableError(f"{endpoint.base_url} did not answer in time", code="attempt_timeout")
        case httpx.NetworkError() | httpx.RemoteProtocolError() | httpx.ProxyError():
            return UnavailableError(
                f"the connection to {endpoint.base_url} was lost: {reason}", code="connection_lost"
            )
        case _:
            return ProtocolError(f"{endpoint.base_url} sent something unreadable: {reason}")


@dataclass(frozen=True)
class Probe:
    """What a probe found: `code` is "ok", the service's reason (loading, draining, …) or "unreachable"."""

    ok: bool
    code: str
    detail: str


def probe_flow(path: str, endpoint: Endpoint) -> Flow[Probe]:
    """One look at /health or /ready. Raises when what answers is not the service (ProtocolError, …)."""
    reply = yield Send("GET", endpoint.base_url + path, endpoint.headers, httpx.Timeout(PROBE_TIMEOUT_S))
    if isinstance(reply, httpx.Response):
        if reply.status_code == 200:
            return Probe(True, "ok", f"{endpoint.base_url}{path} answers")
        failure = read_error(reply)
    else:
        failure = _no_answer(reply, endpoint, last=False)
    if not isinstance(failure, UnavailableError):
        raise failure
    return Probe(False, failure.code, failure.detail)


def wait_flow(
    endpoint: Endpoint,
    timeout_s: float,
    poll_s: float,
    on_progress: Callable[[Probe, float], None] | None,
    clock: Callable[[], float],
) -> Flow[float]:
    """Seconds until /ready said yes. Raises UnavailableError when `timeout_s` passed before."""
    started_s = clock()
    while True:
        probe = yield from probe_flow("/ready", endpoint)
        elapsed_s = clock() - started_s
        if on_progress is not None:
            on_progress(probe, elapsed_s)
        if probe.ok:
            return elapsed_s
        if elapsed_s + poll_s > timeout_s:
            raise UnavailableError(f"not ready after {elapsed_s:.0f} s: {probe.detail}", code=probe.code)
        yield Wait(poll_s)
