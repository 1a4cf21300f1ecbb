"""Administration: POST /v1/admin/reload. Served only where settings name admin keys and a root."""

from fastapi import APIRouter, Request
from pydantic import Field

from edit_rrm.wire import AnswerModel, RequestModel
from edit_rrm_server.api.checkpoint_paths import checkpoint_below
from edit_rrm_server.http.envelope import read_envelope
from edit_rrm_server.http.openapi import ADMIN_KEY, ASKED, READING, UNAVAILABLE, operation, reference
from edit_rrm_server.life.service import Service

_MAX_BODY_BYTES = 64 * 2**10

router = APIRouter(prefix="/v1/admin")


class ReloadRequest(RequestModel):
    """Which checkpoint: a directory below the service's `reload_root`, absolute or relative to it."""

    path: str = Field(min_length=1, max_length=4096)


class ReloadAnswer(AnswerModel):
    """Both models as `name@digest`, and how long calls were refused: until drained, until loaded."""

    model: str
    previous: str
    drain_s: float
    load_s: float


ACCEPTED = (ReloadRequest,)
ANSWERED = (ReloadAnswer,)


@router.post(
    "/reload",
    response_model=ReloadAnswer,
    openapi_extra=operation(
        (*ASKED, *READING, *UNAVAILABLE, "reload_running", "reload_failed"),
        body={"application/json": reference(ReloadRequest)},
        security=ADMIN_KEY,
    ),
)
async def reload(request: Request) -> ReloadAnswer:
    """Replaces the served weights; answers when the new ones serve."""
    service: Service = request.app.state.service
    with service.call():
        envelope = await read_envelope(
            request, ReloadRequest, _MAX_BODY_BYTES, timeout_s=service.settings.body_timeout_s
        )
        root = service.settings.reload_root
        assert root is not None  # else this route is not served
        adapters = service.settings.base is not None
        checkpoint = checkpoint_below(root, envelope.body.path, adapters=adapters)
        previous = service.model.name
        reloaded = await service.reload(checkpoint)
    return ReloadAnswer(
        model=service.model.name, previous=previous, drain_s=reloaded.drain_s, load_s=reloaded.load_s
    )
