"""The API's routes: envelope, room in the queue, images, reward service. No rule of scoring lives here."""

import asyncio

from fastapi import APIRouter, Request, Response

from edit_rrm.guards import guard_modes
from edit_rrm.wire import (
    DecomposeAnswer,
    DecomposeRequest,
    ModelAnswer,
    ModelsAnswer,
    ScoreAnswer,
    ScoreRequest,
    StreamAnswer,
    StreamFailure,
    StreamRequest,
)
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.admission.byte_budget import Share
from edit_rrm_server.admission.callers import Caller
from edit_rrm_server.api.idempotent_calls import PARAMETER, IdempotentCalls, fingerprint_of
from edit_rrm_server.api.links import OF_DECOMPOSITION, OF_MODELS
from edit_rrm_server.api.score_call import answer_score
from edit_rrm_server.api.score_stream import MEDIA_TYPE, ScoreStream
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.http.access import note
from edit_rrm_server.http.connection import run_for_caller
from edit_rrm_server.http.envelope import Body, Envelope, read_envelope
from edit_rrm_server.http.openapi import (
    ASKED,
    UNAVAILABLE,
    any_code_but,
    json_or_form,
    operation,
    reference,
)
from edit_rrm_server.http.problems import shortened
from edit_rrm_server.life.service import Service
from edit_rrm_server.scoring.plan import Edit
from edit_rrm_server.scoring.reward_service import RewardService

ACCEPTED = (ScoreRequest, StreamRequest, DecomposeRequest)
ANSWERED = (ScoreAnswer, StreamAnswer, StreamFailure, DecomposeAnswer, ModelsAnswer)
_OF_OTHERS = ("not_found", "method_not_allowed", "reload_running", "reload_failed")

router = APIRouter()


@router.post(
    "/v1/score",
    response_model=ScoreAnswer,
    openapi_extra=operation(
        any_code_but(*_OF_OTHERS), body=json_or_form(ScoreRequest), parameters=(PARAMETER,)
    ),
)
async def score(request: Request) -> ScoreAnswer:
    """Scores one or more candidates of one edit; a GRPO group is one call."""
    service: Service = request.app.state.service
    with service.call(), service.body_budget.share() as share:
        service.rewards()
        envelope = await _read(request, ScoreRequest, share)
        body = envelope.body
        note(
            request,
            candidates=len(body.candidates),
            samples=body.samples or 0,
            principles=len(body.principles or ()),
            body_bytes=envelope.body_bytes,
            priority=body.priority,
        )
        images = body.all_sources | {f"candidates.{i}": ref for i, ref in enumerate(body.candidates)}
        calls: IdempotentCalls = request.app.state.idempotent
        return await calls.once(
            request,
            lambda: asyncio.to_thread(fingerprint_of, request.url.path, envelope, images),
            lambda: _score(request, service, envelope),
            deadline_at=_deadline_at(request, service, body.deadline_s),
            whole=lambda answer: all(result.status == "ok" for result in answer.results),
        )


async def _score(request: Request, service: Service, envelope: Envelope[ScoreRequest]) -> ScoreAnswer:
    body = envelope.body
    rewards = service.rewards(body.model)  # once more: the weights may have been replaced meanwhile
    arrived_at = request.state.arrived_at
    deadline_at = _deadline_at(request, service, body.deadline_s)
    plan = rewards.plan(body)
    caller: Caller = request.state.caller
    lane = caller.lane_for(body.priority)
    with service.batcher.admit(plan.jobs, lane, deadline_at, caller) as admission:
        work = answer_score(rewards, plan, envelope, request.state.request_id, arrived_at, admission)
        answer = await run_for_caller(request, work)
    note(
        request,
        **{name: round(value, 4) for name, value in answer.timing.model_dump(exclude={"total_s"}).items()},
        **answer.usage.model_dump(),
        failed=sum(result.status == "error" for result in answer.results),
    )
    return answer


@router.post(
    "/v1/score/stream",
    response_class=Response,
    openapi_extra=operation(
        (*ASKED, "unsupported_media_type", *UNAVAILABLE),
        body={MEDIA_TYPE: reference(StreamRequest)},
        answer={MEDIA_TYPE: {"anyOf": [reference(StreamAnswer), reference(StreamFailure)]}},
    ),
)
async def score_stream(request: Request) -> ScoreStream:
    """Scores a request a line; answers a line as each finishes, in any order.

    The schemas are those of one line; a line ends with a line feed.
    """
    service: Service = request.app.state.service
    service.rewards()
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise RequestRefusedError(
            "unsupported_media_type",
            f"expected {MEDIA_TYPE}, got {shortened(media_type) or 'no content type'!r}",
        )
    return ScoreStream(request, service)


@router.post(
    "/v1/decompose",
    response_model=DecomposeAnswer,
    openapi_extra=operation(
        any_code_but(*_OF_OTHERS, "trace_unparseable", "trace_truncated"),
        body=json_or_form(DecomposeRequest),
        parameters=(PARAMETER,),
        feeds=OF_DECOMPOSITION,
    ),
)
async def decompose(request: Request) -> DecomposeAnswer:
    """The principles an edit would be judged by."""
    service: Service = request.app.state.service
    with service.call(), service.body_budget.share() as share:
        service.rewards()
        envelope = await _read(request, DecomposeRequest, share)
        note(request, body_bytes=envelope.body_bytes)
        calls: IdempotentCalls = request.app.state.idempotent
        images = envelope.body.all_sources
        return await calls.once(
            request,
            lambda: asyncio.to_thread(fingerprint_of, request.url.path, envelope, images),
            lambda: _decompose(request, service, envelope),
            deadline_at=_deadline_at(request, service),
        )


@router.get(
    "/v1/models",
    response_model=ModelsAnswer,
    openapi_extra=operation((*ASKED, *UNAVAILABLE), feeds=OF_MODELS),
)
async def models(request: Request) -> ModelsAnswer:
    """The models that are served, the one of a request that names none first."""
    service: Service = request.app.state.service
    return ModelsAnswer(models=[_shown(model, service) for model in service.model.all])


def _shown(model: LoadedModel, service: Service) -> ModelAnswer:
    card, limits = model.card, service.limits(model)
    return ModelAnswer(
        id=model.name,
        name=card.name,
        weights_digest=model.weights_digest,
        weights_digest_of="weights" if model.digest_of_weights else "name",
        architecture=model.architecture,
        profile=card.profile,
        trace_format=card.trace_format,
        judge=model.judge_name,
        subscores=list(model.judge.subscore_names),
        needs_principles=model.judge.needs_principles,
        max_sources=model.judge.max_sources,
        categories=list(card.categories),
        sampling=card.sampling.model_dump(),
        aggregator=model.judge.aggregator or card.aggregator,
        guards=guard_modes(card.guards, service.settings.guards.modes),
        limits={
            "max_image_bytes": limits.max_encoded_bytes,
            "max_image_pixels": limits.max_pixels,
            "max_image_side": limits.scale.max_side,
            "pixel_budget": limits.scale.pixel_budget,
            "max_body_bytes": service.settings.max_body_bytes,
            "max_model_len": model.max_model_len,
        },
        judges=card.judges,
        training=card.training,
    )


async def _read(request: Request, model: type[Body], share: Share) -> Envelope[Body]:
    """The request's body within the service's limits of size, time and room."""
    settings = request.app.state.service.settings
    return await read_envelope(
        request, model, settings.max_body_bytes, timeout_s=settings.body_timeout_s, share=share
    )


def _deadline_at(request: Request, service: Service, deadline_s: float | None = None) -> float:
    arrived_at: float = request.state.arrived_at
    return arrived_at + (deadline_s or service.settings.default_deadline_s)


async def _decompose(
    request: Request, service: Service, envelope: Envelope[DecomposeRequest]
) -> DecomposeAnswer:
    rewards = service.rewards(envelope.body.model)  # once more, as for a score
    deadline_at = _deadline_at(request, service)
    caller: Caller = request.state.caller
    lane = caller.lane_for("interactive")
    with service.batcher.admit(1, lane, deadline_at, caller) as admission:
        work = _principles(request, rewards, envelope, admission)
        return await run_for_caller(request, work, deadline_at)


async def _principles(
    request: Request,
    rewards: RewardService,
    envelope: Envelope[DecomposeRequest],
    admission: Admission,
) -> DecomposeAnswer:
    body = envelope.body
    encoded = envelope.encoded_images(body.all_sources)
    async with rewards.opened(encoded, admission) as files:
        sources = [await rewards.decode(file, admission.lane) for file in files.values()]
        found = await rewards.decompose(Edit.of(sources, body.instruction), body.sampling, admission)
    return DecomposeAnswer(
        id=request.state.request_id,
        model=rewards.model_name,
        principles=list(found.principles),
        principles_from=found.origin,
    )
