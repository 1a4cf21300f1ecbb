"""Probes and metrics: what load balancers and Prometheus ask."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from edit_rrm.wire import AnswerModel
from edit_rrm_server import __version__
from edit_rrm_server.http.openapi import KEY, OPEN, UNASKED, UNAVAILABLE, operation
from edit_rrm_server.life.service import Service

router = APIRouter()


class HealthAnswer(AnswerModel):
    """200 of GET /health; a dialect may say more in it."""

    status: str
    version: str


class ReadyAnswer(AnswerModel):
    """200 of GET /ready. `model` is what scores are said to be of."""

    status: str
    model: str


ANSWERED = (HealthAnswer, ReadyAnswer)


@router.get("/health", response_model=HealthAnswer, openapi_extra=operation(UNASKED, security=OPEN))
async def health() -> HealthAnswer:
    """200 while the process lives."""
    return HealthAnswer(status="ok", version=__version__)


@router.get(
    "/ready", response_model=ReadyAnswer, openapi_extra=operation((*UNASKED, *UNAVAILABLE), security=OPEN)
)
async def ready(request: Request) -> ReadyAnswer:
    """200 when a score could run now, else 503 with the reason as its code."""
    service: Service = request.app.state.service
    service.rewards()
    return ReadyAnswer(status="ready", model=service.model.name)


@router.get(
    "/metrics",
    response_class=Response,
    openapi_extra=operation(
        (*UNASKED, "missing_key", "bad_key"), security=KEY, answer={"text/plain": {"type": "string"}}
    ),
)
async def metrics(request: Request) -> Response:
    """Prometheus text: this service's own and vLLM's. Open unless EDIT_RRM_METRICS_NEED_KEY."""
    service: Service = request.app.state.service
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
