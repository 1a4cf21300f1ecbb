"""Probes and metrics: what load balancers and Prometheus ask."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from edit_rrm_server import __version__
from edit_rrm_server.life.service import Service

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """200 while the process lives."""
    return {"status": "ok", "version": __version__}


@router.get("/ready")
async def ready(request: Request) -> dict[str, str]:
    """200 when a score could run now, else 503 with the reason as its code."""
    service: Service = request.app.state.service
    service.rewards()
    return {"status": "ready", "model": service.model.name}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus text: this service's own and vLLM's."""
    service: Service = request.app.state.service
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
