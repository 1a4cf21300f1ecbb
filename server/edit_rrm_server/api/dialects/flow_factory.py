"""Flow-Factory's remote reward: POST /compute.

Verified in X-GenGroup/Flow-Factory (src/flow_factory/rewards/my_reward_remote.py): the client sends
`prompt`, `image`, `video`, `condition_images`, `condition_videos` and `kwargs`, waits 60 s, tries three times
without a pause after any status that is no success, and raises at once for an `error` in a successful
answer. So what trying again may mend is answered by its status, and everything else by an `error`.
"""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse

from edit_rrm.errors import EditRRMError
from edit_rrm.wire import MAX_SOURCES, CandidateFailed
from edit_rrm_server.api.dialects.holding import Holding
from edit_rrm_server.api.dialects.items import Item, guards_in, may_pass
from edit_rrm_server.errors import RequestRefusedError, ServiceError


class ComputeRequest(BaseModel):
    """A batch of edits; the condition images are the sources. What the trainer adds is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    prompt: list[str]
    image: list[str] | None = None
    video: list[Any] | None = None
    condition_images: list[list[str]] | None = None
    condition_videos: list[Any] | None = None
    kwargs: dict[str, Any] | None = None
    """Of the reward in the trainer's configuration; `guards` is what /v1/score takes under that name."""


def router(holding: Holding) -> APIRouter:
    """POST /compute: rewards in [0, 1], in the prompts' order, or an `error`."""
    routes = APIRouter(include_in_schema=False)

    @routes.post("/compute")
    async def compute(request: Request) -> JSONResponse:
        try:
            async with holding.body(request, ComputeRequest) as body:
                held = await holding.run(request, holding.score(request, items_of(body)))
        except (ServiceError, EditRRMError) as error:
            if may_pass(error.code):
                raise
            return _error(request, error.code, str(error))
        results = held.results
        failures = [(i, r.error) for i, r in enumerate(results) if isinstance(r, CandidateFailed)]
        if failures:
            place, first = failures[0]
            detail = f"{len(failures)} of {len(results)} edits were not scored; item {place}: {first.detail}"
            return _error(request, first.code, detail)
        return JSONResponse({"rewards": [result.reward for result in results]})

    return routes


def items_of(body: ComputeRequest) -> list[Item]:
    """The edits of a batch. Raises RequestRefusedError (invalid_request)."""
    if body.video or body.condition_videos:
        raise RequestRefusedError("invalid_request", "video: only images are judged")
    if not body.prompt:
        return []
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


def _error(request: Request, code: str, detail: str) -> JSONResponse:
    request.state.code = code
    return JSONResponse({"error": f"{code}: {detail}", "code": code})
