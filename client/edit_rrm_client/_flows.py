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
from edit_rrm_client._endpoints import Endpoint
from edit_rrm_client._images import EncodedImage
from edit_rrm_client._network import by_proxy
from edit_rrm_client._replicas import Replicas
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


def call_flow(
    call: Call[AnswerT],
    replicas: Replicas,
    policy: RetryPolicy,
    timeout_s: float,
    clock: Callable[[], float],
    dice: Callable[[], float],
) -> Flow[AnswerT]:
    """The call's answer within `timeout_s`, trying again where the policy says that it is safe.

    A replica that is not available is set aside, and the next one is asked at once; the backoff
    begins when none is left.
    """
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise InvalidRequestError(f"the deadline must be a positive number of seconds, got {timeout_s}")
    request_id = uuid.uuid4().hex
    ends_at_s = clock() + timeout_s
    failures = rounds = 0
    while True:
        remaining_s = ends_at_s - clock()
        if remaining_s <= 0:
            raise DeadlineExceededError(f"no answer within {timeout_s:g} s", request_id=request_id)
        wait_at_most_s = min(remaining_s + GRACE_S, policy.attempt_timeout_s or math.inf)
        with replicas.borrowed() as replica:
            endpoint = replica.endpoint
            reply = yield Send(
                call.method,
                endpoint.base_url + call.path,
                {**endpoint.headers, **_named(call, request_id)},
                httpx.Timeout(wait_at_most_s, connect=min(policy.connect_timeout_s, wait_at_most_s)),
                call.body(min(remaining_s, policy.attempt_timeout_s or math.inf)),
                tuple(call.parts.items()),
            )
        try:
            if isinstance(reply, httpx.Response):
                answer = read_answer(call, reply)
                replicas.take_back(replica)
                return answer
            raise _no_answer(reply, endpoint, last=wait_at_most_s > remaining_s) from reply
        except EditRRMClientError as error:
            error.request_id = error.request_id or request_id
            failures += 1
            wait_s = 0.0
            if error.retryable:
                replicas.set_aside(replica, policy.set_aside_s, error.retry_after_s)
                if not replicas.any_at_hand():
                    rounds += 1
                    wait_s = policy.wait_s(rounds, replicas.asked_wait_s(replica), dice())
            if not error.retryable or failures >= policy.attempts or clock() + wait_s >= ends_at_s:
                if failures > 1:
                    error.add_note(f"gave up after {failures} attempts")
                raise
        if wait_s > 0:
            yield Wait(wait_s)


def _named(call: Call[AnswerT], request_id: str) -> dict[str, str]:
    """Every attempt says which call it is; one that comes after a lost answer is given that very answer."""
    named = {"X-Request-ID": request_id}
    return named if call.request is None else {**named, "Idempotency-Key": request_id}


def _no_answer(error: Reply, endpoint: Endpoint, *, last: bool) -> EditRRMClientError:
    """What it means that a request got no response; `last` when the total deadline is what ran out."""
    reason = (str(error) or type(error).__name__) + by_proxy(endpoint.base_url)
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return UnavailableError(f"cannot connect to {endpoint.base_url}: {reason}")
        case httpx.TimeoutException() if last:
            return DeadlineExceededError(
                f"{endpoint.base_url} did not answer before the deadline{by_proxy(endpoint.base_url)}"
            )
        case httpx.TimeoutException():
            return UnavailableError(
                f"{endpoint.base_url} did not answer in time{by_proxy(endpoint.base_url)}",
                code="attempt_timeout",
            )
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


def probe_flow(path: str, replicas: Replicas, policy: RetryPolicy) -> Flow[Probe]:
    """One look at /health or /ready of each replica in turn, until one says yes.

    Raises when what answers is not the service (ProtocolError, …).
    """
    refusals = []
    for replica in replicas:
        probe, retry_after_s = yield from _probe_one(path, replica.endpoint)
        if probe.ok:
            replicas.take_back(replica)
            return probe
        replicas.set_aside(replica, policy.set_aside_s, retry_after_s)
        refusals.append((replica.endpoint.base_url, probe))
    if len(refusals) == 1:
        return refusals[0][1]
    details = "; ".join(f"{base_url}: {probe.detail}" for base_url, probe in refusals)
    return Probe(False, refusals[0][1].code, details)


def _probe_one(path: str, endpoint: Endpoint) -> Flow[tuple[Probe, float | None]]:
    """What one replica says, and the wait it asked for in seconds."""
    reply = yield Send("GET", endpoint.base_url + path, endpoint.headers, httpx.Timeout(PROBE_TIMEOUT_S))
    if isinstance(reply, httpx.Response):
        if reply.status_code == 200:
            return Probe(True, "ok", f"{endpoint.base_url}{path} answers"), None
        failure = read_error(reply)
    else:
        failure = _no_answer(reply, endpoint, last=False)
    if not isinstance(failure, UnavailableError):
        raise failure
    return Probe(False, failure.code, failure.detail), failure.retry_after_s


def wait_flow(
    replicas: Replicas,
    policy: RetryPolicy,
    timeout_s: float,
    poll_s: float,
    on_progress: Callable[[Probe, float], None] | None,
    clock: Callable[[], float],
) -> Flow[float]:
    """Seconds until /ready of one replica said yes. Raises UnavailableError after `timeout_s`."""
    started_s = clock()
    while True:
        probe = yield from probe_flow("/ready", replicas, policy)
        elapsed_s = clock() - started_s
        if on_progress is not None:
            on_progress(probe, elapsed_s)
        if probe.ok:
            return elapsed_s
        if elapsed_s + poll_s > timeout_s:
            raise UnavailableError(f"not ready after {elapsed_s:.0f} s: {probe.detail}", code=probe.code)
        yield Wait(poll_s)
