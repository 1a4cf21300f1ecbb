"""The API's routes: envelope, room in the queue, images, reward service. No rule of scoring lives here."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request

from edit_rrm.errors import ImageError
from edit_rrm.images import EditImage
from edit_rrm.wire import (
    DecomposeAnswer,
    DecomposeRequest,
    ImageRef,
    ModelAnswer,
    ModelsAnswer,
    ScoreAnswer,
    ScoreRequest,
)
from edit_rrm_server.batching import Admission
from edit_rrm_server.connection import run_for_caller
from edit_rrm_server.envelope import Envelope, read_envelope
from edit_rrm_server.openapi import request_body
from edit_rrm_server.scoring import RewardService, ScoreCall
from edit_rrm_server.service import Service

router = APIRouter()


@router.post("/v1/score", response_model=ScoreAnswer, openapi_extra=request_body(ScoreRequest))
async def score(request: Request) -> ScoreAnswer:
    """Scores one or more candidates of one edit; a GRPO group is one call."""
    service: Service = request.app.state.service
    with service.call():
        rewards = service.rewards()
        envelope = await read_envelope(request, ScoreRequest, service.settings.max_body_bytes)
        body = envelope.body
        _note(
            request,
            candidates=len(body.candidates),
            samples=body.samples,
            principles=len(body.principles or ()),
            body_bytes=envelope.body_bytes,
            priority=body.priority,
        )
        with service.batcher.admit(rewards.jobs_of(body)) as admission:
            work = _score(request, service, rewards, envelope, admission)
            deadline_s = body.deadline_s or service.settings.default_deadline_s
            answer = await run_for_caller(request, work, request.state.arrived_at + deadline_s)
    _note(
        request,
        **{name: round(value, 4) for name, value in answer.timing.model_dump(exclude={"total_s"}).items()},
        **answer.usage.model_dump(),
        failed=sum(result.status == "error" for result in answer.results),
    )
    return answer


@router.post("/v1/decompose", response_model=DecomposeAnswer, openapi_extra=request_body(DecomposeRequest))
async def decompose(request: Request) -> DecomposeAnswer:
    """The principles an edit would be judged by."""
    service: Service = request.app.state.service
    with service.call():
        rewards = service.rewards()
        envelope = await read_envelope(request, DecomposeRequest, service.settings.max_body_bytes)
        _note(request, body_bytes=envelope.body_bytes)
        with service.batcher.admit(1) as admission:
            work = _decompose(request, service, rewards, envelope, admission)
            deadline_at = request.state.arrived_at + service.settings.default_deadline_s
            return await run_for_caller(request, work, deadline_at)


@router.get("/v1/models", response_model=ModelsAnswer)
async def models(request: Request) -> ModelsAnswer:
    """The loaded checkpoint."""
    service: Service = request.app.state.service
    model, limits = service.model, service.intake.limits
    card = model.card
    return ModelsAnswer(
        models=[
            ModelAnswer(
                name=card.name,
                weights_digest=model.weights_digest,
                architecture=model.architecture,
                profile=card.profile,
                trace_format=card.trace_format,
                categories=list(card.categories),
                sampling=card.sampling.model_dump(),
                aggregator=card.aggregator,
                limits={
                    "max_image_bytes": limits.max_encoded_bytes,
                    "max_image_pixels": limits.max_pixels,
                    "max_image_side": limits.max_side,
                    "max_body_bytes": service.settings.max_body_bytes,
                    "max_model_len": model.max_model_len,
                },
                judges=card.judges,
                training=card.training,
            )
        ]
    )


async def _score(
    request: Request,
    service: Service,
    rewards: RewardService,
    envelope: Envelope[ScoreRequest],
    admission: Admission,
) -> ScoreAnswer:
    body = envelope.body
    refs = {"source": body.source, **{f"candidates.{i}": ref for i, ref in enumerate(body.candidates)}}
    found = await _decode(service, envelope, refs)
    source = found[0]
    if isinstance(source, ImageError):
        raise source
    call = ScoreCall(request.state.request_id, body, source, found[1:], request.state.arrived_at)
    return await rewards.score(call, admission)


async def _decompose(
    request: Request,
    service: Service,
    rewards: RewardService,
    envelope: Envelope[DecomposeRequest],
    admission: Admission,
) -> DecomposeAnswer:
    body = envelope.body
    encoded = envelope.encoded_images({"source": body.source})
    source = await service.intake.decode(encoded["source"], "source")
    found = await rewards.decompose(source, body.instruction, body.sampling, admission)
    return DecomposeAnswer(
        id=request.state.request_id,
        model=service.model.name,
        principles=list(found.principles),
        principles_from=found.origin,
    )


async def _decode(
    service: Service, envelope: Envelope[ScoreRequest], refs: dict[str, ImageRef]
) -> Sequence[EditImage | ImageError]:
    """Each image or why it cannot be used; a reference that leads nowhere fails the whole request."""
    encoded = envelope.encoded_images(refs)

    async def decode(path: str) -> EditImage | ImageError:
        try:
            return await service.intake.decode(encoded[path], path)
        except ImageError as error:
            return error

    return await asyncio.gather(*(decode(path) for path in refs))


def _note(request: Request, **facts: Any) -> None:
    """Facts for the request's log line: ids, sizes, timings and codes, never content."""
    if not hasattr(request.state, "log"):
        request.state.log = {}
    request.state.log.update(facts)
