"""A running service as a judge: the same questions over HTTP, in the words of `edit_rrm.wire`.

Guards are off, so that the answer is the model's own. The service may try an unreadable text again
(`retries` of its settings), which a judge in this process does not: set it to 0 to compare the two.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx
from PIL import Image
from pydantic import ValidationError

from edit_rrm.images import encode_png
from edit_rrm.judges.trained import principle_lines
from edit_rrm.wire import (
    CandidateAnswer,
    CandidateScored,
    DecomposeAnswer,
    DecomposeRequest,
    ImageRef,
    Problem,
    Sampling,
    ScoreAnswer,
    ScoreRequest,
)
from edit_rrm_training.endpoints.http_calls import Caller, Patience
from edit_rrm_training.evaluation.judging import Decomposition, Drawing, Opinion, Question

_UNUSABLE = frozenset(
    {"trace_unparseable", "trace_truncated", "decomposition_failed", "decomposition_truncated"}
)
"""The codes of a model whose text could not be used. Every other failure is the service's, and no opinion."""
_ANSWERS = frozenset({200, 502})

A = TypeVar("A")


class HttpJudge:
    """Satisfies `Judge`. Raises EndpointError when the service does not answer."""

    gives_verdicts = True

    def __init__(
        self, url: str, *, api_key: str | None = None, concurrency: int = 8, patience: Patience | None = None
    ) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._concurrency = concurrency
        self._patience = patience or Patience(timeout_s=600.0)

    def decompose(self, questions: Sequence[Question]) -> list[Decomposition]:
        """See `Judge`; the text is the principles' lines, or the service's complaint."""

        def read(response: httpx.Response) -> Decomposition | None:
            if response.status_code != 200:
                return Decomposition(response.text, None) if _unusable(response) else None
            principles = tuple(DecomposeAnswer.model_validate_json(response.content).principles)
            return Decomposition(principle_lines([(p.category, p.question) for p in principles]), principles)

        async def one(caller: Caller, question: Question) -> Decomposition:
            def body() -> dict[str, Any]:
                return _plain(
                    DecomposeRequest(instruction=question.instruction, source=_image(question.source))
                )

            return await caller.post("v1/decompose", body, _valid(read), _ANSWERS)

        return self._all(questions, one)

    def judge(self, questions: Sequence[Question], drawing: Drawing) -> list[tuple[Opinion, ...]]:
        """See `Judge`."""

        async def one(caller: Caller, question: Question) -> tuple[Opinion, ...]:
            nothing = Opinion((None,) * drawing.samples)

            def read(response: httpx.Response) -> tuple[Opinion, ...] | None:
                if response.status_code != 200:
                    return (nothing,) * len(question.candidates) if _unusable(response) else None
                answer = ScoreAnswer.model_validate_json(response.content)
                if len(answer.results) != len(question.candidates) or not all(map(_judged, answer.results)):
                    return None
                return tuple(_opinion(result, drawing.samples) for result in answer.results)

            def body() -> dict[str, Any]:
                return _plain(
                    ScoreRequest(
                        instruction=question.instruction,
                        source=_image(question.source),
                        candidates=[_image(candidate) for candidate in question.candidates],
                        principles=None if question.principles is None else list(question.principles),
                        samples=drawing.samples,
                        sampling=Sampling(temperature=drawing.temperature),
                        guards="off",
                        include=["reasoning"],
                        priority="bulk",
                    )
                )

            return await caller.post("v1/score", body, _valid(read), _ANSWERS)

        return self._all(questions, one)

    def _all(self, questions: Sequence[Question], one: Callable[[Caller, Question], Awaitable[A]]) -> list[A]:
        async def run() -> list[A]:
            caller = Caller(
                self._url, self._url, self._patience, concurrency=self._concurrency, headers=self._headers
            )
            try:
                return await asyncio.gather(*(one(caller, question) for question in questions))
            finally:
                await caller.close()

        return asyncio.run(run())


def _valid(read: Callable[[httpx.Response], A | None]) -> Callable[[httpx.Response], A | None]:
    """None for an answer that is not what the contract says."""

    def checked(response: httpx.Response) -> A | None:
        try:
            return read(response)
        except ValidationError:
            return None

    return checked


def _unusable(response: httpx.Response) -> bool:
    """Whether it is the service's word on the model's text, and not a gateway's or an engine's failure."""
    return Problem.model_validate_json(response.content).code in _UNUSABLE


def _judged(result: CandidateAnswer) -> bool:
    """Whether the model is to be held to it: it wrote what was scored, or what could not be."""
    return isinstance(result, CandidateScored) or result.error.code in _UNUSABLE


def _opinion(result: CandidateAnswer, samples: int) -> Opinion:
    """Samples that failed are absent from an answer: they count as unparsed."""
    if not isinstance(result, CandidateScored):
        return Opinion((None,) * samples)
    scores = [sample.score for sample in result.samples]
    return Opinion(
        (*scores, *[None] * (samples - len(scores))),
        tuple(verdict.met for verdict in result.verdicts),
        tuple(verdict.probability for verdict in result.verdicts),
        tuple(sample.reasoning or "" for sample in result.samples),
    )


def _image(image: Image.Image) -> ImageRef:
    return ImageRef(b64=base64.b64encode(encode_png(image)).decode())


def _plain(request: ScoreRequest | DecomposeRequest) -> dict[str, Any]:
    return request.model_dump(mode="json", exclude_none=True)
