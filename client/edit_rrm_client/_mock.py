"""A reward service for tests of code that uses the client: an httpx transport, no socket, no model."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx
from pydantic import BaseModel, ValidationError

from edit_rrm.principles import Category, Principle
from edit_rrm.wire import (
    MAX_SOURCES,
    CandidateAnswer,
    CandidateError,
    CandidateFailed,
    CandidateScored,
    DecomposeAnswer,
    DecomposeRequest,
    ImageRef,
    ModelAnswer,
    ModelsAnswer,
    Problem,
    SampleAnswer,
    ScoreAnswer,
    ScoreRequest,
    VerdictAnswer,
)

MockRewards: TypeAlias = (
    "float | None | Iterable[float | None] | Callable[[ScoreRequest], Sequence[float | None]]"
)

_MODEL = "mock"
_DIGEST = "0" * 12
_PRINCIPLES = [Principle(id="p1", question="Was the instruction followed?", category=Category.FOLLOW)]
_CODES: Mapping[int, str] = {
    400: "malformed_json",
    401: "missing_key",
    403: "bad_key",
    404: "not_found",
    408: "body_timeout",
    413: "body_too_large",
    415: "unsupported_image",
    422: "invalid_request",
    429: "queue_full",
    500: "internal",
    502: "trace_unparseable",
    503: "loading",
    504: "deadline_exceeded",
}


@dataclass(frozen=True)
class MockCall:
    """A request that reached the mock: its address, its parsed body and the files beside it."""

    url: str
    headers: Mapping[str, str]
    request: ScoreRequest | DecomposeRequest | None
    files: Mapping[str, bytes]
    """The bytes of each file part of a multipart request, by the part's name."""


@dataclass
class _Failure:
    """Answers to give instead of scores; `left` None: for ever."""

    reply: Callable[[], httpx.Response]
    left: int | None
    host: str | None


class MockRewardServer(httpx.MockTransport):
    """Answers as an edit-rrm service does, for both clients.

        server = MockRewardServer([0.1, None, 0.9])
        client = RewardClient(http_client=httpx.Client(transport=server))

    `rewards` decides what candidates get, each in [0, 1], None for one that fails:
    a number (or None) for all of them; an iterable that gives one for each candidate in the order of the
    calls, and whose end is a RuntimeError; or a function of the `ScoreRequest` that gives one for each.
    Requests are checked as the service checks them, images excepted: their bytes are never decoded.
    `calls` holds what arrived at /v1/ paths. Scores, verdicts and principles are made up to fit the
    reward. Safe to share between threads.
    """

    def __init__(self, rewards: MockRewards = 0.5) -> None:
        super().__init__(self._answer)
        self.calls: list[MockCall] = []
        self._failures: list[_Failure] = []
        self._lock = threading.Lock()
        self._rewards = _source_of(rewards)

    def fail(
        self,
        status: int,
        code: str | None = None,
        *,
        times: int | None = 1,
        retry_after_s: float | None = None,
        host: str | None = None,
    ) -> None:
        """The next `times` calls (None: all from now on) are answered with this error.

        `code` defaults to the usual one of the status. `host` restricts it to the calls of one address
        ("a" for http://a:8000). Failures told one after another come one after another. /health and
        /ready are not affected.
        """
        named = code or _CODES.get(status, "error")
        self._failures.append(
            _Failure(lambda: _problem(status, named, "told to fail", retry_after_s), times, host)
        )

    def disconnect(self, *, times: int | None = 1, host: str | None = None) -> None:
        """The next `times` calls find nobody to connect to."""

        def refuse() -> httpx.Response:
            raise httpx.ConnectError("the mock was told to refuse the connection")

        self._failures.append(_Failure(refuse, times, host))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            path = request.url.path
            if path in ("/health", "/ready"):
                return httpx.Response(200, json={})
            try:
                body, files = _parsed(request)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(str(step) for step in first["loc"])
                return _problem(422, "invalid_request", f"{where}: {first['msg']}")
            self.calls.append(MockCall(str(request.url), dict(request.headers), body, files))
            failure = self._due_failure(request.url.host)
            if failure is not None:
                return failure.reply()
            call_id = f"mock-{len(self.calls)}"
            if isinstance(body, ScoreRequest | DecomposeRequest):
                missing = _missing_parts(body, files)
                if missing:
                    return _problem(422, "invalid_request", f"no part is named {missing[0]!r}")
            if isinstance(body, ScoreRequest):
                return self._score(body, call_id)
            if isinstance(body, DecomposeRequest):
                decomposed = DecomposeAnswer(
                    id=call_id, model=f"{_MODEL}@{_DIGEST}", principles=_PRINCIPLES, principles_from="model"
                )
                return _json(decomposed)
            if path == "/v1/models":
                return _json(ModelsAnswer(models=[_model()]))
            return _problem(404, "not_found", f"the mock serves no {path}")

    def _due_failure(self, host: str) -> _Failure | None:
        for failure in self._failures:
            if failure.left != 0 and failure.host in (None, host):
                failure.left = None if failure.left is None else failure.left - 1
                return failure
        return None

    def _score(self, request: ScoreRequest, call_id: str) -> httpx.Response:
        given = list(self._rewards(request))
        if len(given) != len(request.candidates):
            raise RuntimeError(
                f"the mock's rewards must be one per candidate: {len(request.candidates)}, got {len(given)}"
            )
        if all(reward is None for reward in given):
            return _problem(502, "trace_unparseable", "no candidate could be scored")
        principles = request.principles or _PRINCIPLES
        answer = ScoreAnswer(
            id=call_id,
            model=f"{_MODEL}@{_DIGEST}",
            principles=principles,
            principles_from="model" if request.principles is None else "request",
            results=[_result(reward, principles, request.samples or 1) for reward in given],
        )
        return _json(answer)


def _source_of(rewards: MockRewards) -> Callable[[ScoreRequest], Sequence[float | None]]:
    """The rewards as a function of the request."""
    if callable(rewards):
        return rewards
    if rewards is None or isinstance(rewards, int | float):
        _checked(rewards)
        return lambda request: [rewards] * len(request.candidates)
    script = iter(rewards)

    def next_ones(request: ScoreRequest) -> list[float | None]:
        taken = [reward for _, reward in zip(request.candidates, script, strict=False)]
        if len(taken) < len(request.candidates):
            raise RuntimeError(
                f"the mock's script of rewards has ended: {len(request.candidates)} were asked for, "
                f"{len(taken)} were left"
            )
        return taken

    return next_ones


def _checked(reward: float | None) -> float | None:
    if reward is not None and not 0.0 <= reward <= 1.0:
        raise ValueError(f"a reward must lie in [0, 1] or be None, got {reward}")
    return reward


def _result(reward: float | None, principles: Sequence[Principle], samples: int) -> CandidateAnswer:
    if _checked(reward) is None:
        return CandidateFailed(error=CandidateError(code="trace_unparseable", detail="told to fail"))
    assert reward is not None
    met = reward >= 0.5
    verdicts = [
        VerdictAnswer(principle=p.id, met=met, probability=reward, evidence="made up") for p in principles
    ]
    return CandidateScored(
        reward=reward,
        score=10 * reward,
        average=float(met),
        categories={p.category: float(met) for p in principles},
        verdicts=verdicts,
        samples=[SampleAnswer(score=10 * reward, reward=reward)] * samples,
    )


def _model() -> ModelAnswer:
    return ModelAnswer(
        name=_MODEL,
        weights_digest=_DIGEST,
        architecture="none",
        profile="trained",
        trace_format="1",
        max_sources=MAX_SOURCES,
        categories=list(Category),
        sampling={"temperature": 0.0},
        aggregator="model_score",
        limits={},
        judges="Judges nothing: a mock.",
    )


def _parsed(request: httpx.Request) -> tuple[ScoreRequest | DecomposeRequest | None, dict[str, bytes]]:
    """The body and the files of a request; no body for a path that takes none."""
    models: Mapping[str, type[ScoreRequest] | type[DecomposeRequest]] = {
        "/v1/score": ScoreRequest,
        "/v1/decompose": DecomposeRequest,
    }
    model = models.get(request.url.path)
    if model is None or request.method != "POST":
        return None, {}
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/"):
        return model.model_validate_json(request.content), {}
    parts = _parts(request.content, content_type)
    return model.model_validate_json(parts.pop("request", b"")), parts


def _parts(body: bytes, content_type: str) -> dict[str, bytes]:
    """The parts of a multipart body as httpx writes them, by name."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    parts = {}
    for section in body.split(b"--" + boundary)[1:-1]:
        head, _, content = section.partition(b"\r\n\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0]
        parts[name.decode()] = content.removesuffix(b"\r\n")
    return parts


def _missing_parts(request: ScoreRequest | DecomposeRequest, files: Mapping[str, bytes]) -> list[str]:
    images: list[ImageRef] = [*request.all_sources.values()]
    if isinstance(request, ScoreRequest):
        images += request.candidates
    return [image.part for image in images if image.part is not None and image.part not in files]


def _json(answer: BaseModel) -> httpx.Response:
    return httpx.Response(200, json=json.loads(answer.model_dump_json()))


def _problem(status: int, code: str, detail: str, retry_after_s: float | None = None) -> httpx.Response:
    headers = {"Content-Type": "application/problem+json"}
    if retry_after_s is not None:
        headers["Retry-After"] = f"{retry_after_s:g}"
    problem = Problem(
        type="about:blank", title=code, status=status, detail=detail, instance="mock", code=code
    )
    return httpx.Response(status, content=problem.model_dump_json(), headers=headers)
