"""From a validated score request to its answer: decode the images, ask the reward service. For all routes."""

import asyncio
from collections.abc import Sequence

from edit_rrm.errors import ImageError
from edit_rrm.images import EditImage
from edit_rrm.wire import ImageRef, ScoreAnswer, ScoreRequest
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.http.envelope import Envelope
from edit_rrm_server.observe import tracing
from edit_rrm_server.scoring.plan import Edit, Plan
from edit_rrm_server.scoring.reward_service import RewardService, ScoreCall


async def answer_score(
    rewards: RewardService,
    plan: Plan,
    envelope: Envelope[ScoreRequest],
    call_id: str,
    arrived_at: float,
    admission: Admission,
) -> ScoreAnswer:
    """The answer to an admitted call. Raises ServiceError and EditRRMError."""
    body = envelope.body
    sources = body.all_sources
    refs = {**sources, **{f"candidates.{i}": ref for i, ref in enumerate(body.candidates)}}
    with tracing.span("images", count=len(refs)):
        found = await _decode(rewards, envelope, refs)
    shown = []
    for source in found[: len(sources)]:
        if isinstance(source, ImageError):
            raise source
        shown.append(source)
    edit = Edit.of(shown, body.instruction, body.source_of_guards)
    return await rewards.score(ScoreCall(call_id, plan, edit, found[len(sources) :], arrived_at), admission)


async def _decode(
    rewards: RewardService, envelope: Envelope[ScoreRequest], refs: dict[str, ImageRef]
) -> Sequence[EditImage | ImageError]:
    """Each image or why it cannot be used; a reference that leads nowhere fails the whole request."""
    encoded = envelope.encoded_images(refs)

    async def decode(path: str) -> EditImage | ImageError:
        try:
            return await rewards.decode(encoded[path], path)
        except ImageError as error:
            return error

    return await asyncio.gather(*(decode(path) for path in refs))
