"""Flow-Factory's remote reward: POST /compute.

Verified in X-GenGroup/Flow-Factory (src/flow_factory/rewards/my_reward_remote.py): the client sends
`prompt`, `image`, `video`, `condition_images`, `condition_videos` and `kwargs`, waits 60 s, tries three times
without a pause after any status that is no success, and raises at once for an `error` in a successful
answer. So what trying again may mend is answered by its status, and everything else by an `error`.
"""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from edit_rrm.errors import EditRRMError
from edit_rrm.wire import MAX_SOURCES, CandidateFailed
from edit_rrm_server.api.dialects.holding import Holding
from edit_rrm_server.api.dialects.items import MAX_EDITS, Item, guards_in, may_pass
from edit_rrm_server.api.idempotent_calls import PARAMETER, IdempotentCalls, digest_of
from edit_rrm_server.errors import RequestRefusedError, ServiceError
from edit_rrm_server.http.openapi import ASKED, any_code_but, operation, reference

# Only the first fault of a list is told: a batch may have a hundred thousand.
_Texts = Annotated[list[str], Field(fail_fast=True)]


class ComputeRequest(BaseModel):
    """A batch of edits; the condition images are the sources. What the trainer adds is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: _Texts
    image: _Texts | None = None
    video: list[Any] | None = None
    condition_images: Annotated[list[_Texts], Field(fail_fast=True)] | None = None
    condition_videos: list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    """Of the reward in the trainer's configuration; `guards` is what /v1/score takes under that name."""


class ComputeAnswer(BaseModel):
    """Rewards in [0, 1], in the prompts' order."""

    rewards: list[float]


class ComputeFailure(BaseModel):
    """Why there are none, of what trying again cannot mend."""

    error: str
    code: str


ACCEPTED = (ComputeRequest,)
ANSWERED = (ComputeAnswer, ComputeFailure)


def router(holding: Holding) -> APIRouter:
    """POST /compute: rewards in [0, 1], in the prompts' order, or an `error`."""
    routes = APIRouter()

    @routes.post(
        "/compute",
        response_class=JSONResponse,
        openapi_extra=operation(
            (*ASKED, *filter(may_pass, any_code_but(*ASKED))),
            body={"application/json": reference(ComputeRequest)},
            answer={"application/json": {"anyOf": [reference(model) for model in ANSWERED]}},
            parameters=(PARAMETER,),
        ),
    )
    async def compute(request: Request) -> JSONResponse:
        """Flow-Factory: scores a batch of edits, or says why it cannot."""
        calls: IdempotentCalls = request.app.state.idempotent
        try:
            async with holding.body(request, ComputeRequest) as body:
                answer = await calls.once(
                    request,
                    lambda: asyncio.to_thread(_fingerprint, request.url.path, body),
                    lambda: _answer(holding, request, body),
                    deadline_at=holding.deadline_at(request),
                    whole=lambda answer: isinstance(answer, ComputeAnswer),
                )
        except (ServiceError, EditRRMError) as error:
            if may_pass(error.code):
                raise
            answer = _failure(error.code, str(error))
        if isinstance(answer, ComputeFailure):
            request.state.code = answer.code
        return JSONResponse(answer.model_dump())

    return routes


def items_of(body: ComputeRequest) -> list[Item]:
    """The edits of a batch. Raises RequestRefusedError (invalid_request)."""
    if body.video or body.condition_videos:
        raise RequestRefusedError("invalid_request", "video: only images are judged")
    if not body.prompt:
        return []
    if len(body.prompt) > MAX_EDITS:
        raise RequestRefusedError(
            "invalid_request", f"prompt: expected at most {MAX_EDITS} edits a call, got {len(body.prompt)}"
        )
    for name in ("image", "condition_images"):
        length = len(getattr(body, name) or ())
        if length != len(body.prompt):
            raise RequestRefusedError(
                "invalid_request",
                f"{name}: expected one for each of {len(body.prompt)} prompts, got {length}; "
                "is it among the `required_fields` of your reward class?",
            )
    for place, sources in enumerate(body.condition_images or ()):
        if not 1 <= len(sources) <= MAX_SOURCES:
            raise RequestRefusedError(
                "invalid_request",
                f"condition_images.{place}: expected 1 to {MAX_SOURCES} source images, got {len(sources)}",
            )
    edits = zip(body.prompt, body.condition_images or (), body.image or (), strict=True)
    guards = guards_in(body.kwargs)
    return [Item(prompt, tuple(sources), edited, guards) for prompt, sources, edited in edits]


async def _answer(holding: Holding, request: Request, body: ComputeRequest) -> ComputeAnswer | ComputeFailure:
    held = await holding.run(request, holding.score(request, items_of(body)))
    results = held.results
    failures = [(i, r.error) for i, r in enumerate(results) if isinstance(r, CandidateFailed)]
    if failures:
        place, first = failures[0]
        detail = f"{len(failures)} of {len(results)} edits were not scored; item {place}: {first.detail}"
        return _failure(first.code, detail)
    return ComputeAnswer(rewards=[result.reward for result in results if result.reward is not None])


def _fingerprint(path: str, body: ComputeRequest) -> str:
    return digest_of([path.encode(), body.model_dump_json().encode()])


def _failure(code: str, detail: str) -> ComputeFailure:
    return ComputeFailure(error=f"{code}: {detail}", code=code)
