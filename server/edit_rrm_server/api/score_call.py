"""From a validated score request to its answer: decode the images, ask the reward service. For all routes.

A candidate is scored as soon as it is decoded, while others are still being decoded.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from edit_rrm.errors import ImageError
from edit_rrm.wire import Priority, ScoreAnswer, ScoreRequest
from edit_rrm_server.admission.batching import Admission
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.http.envelope import Envelope
from edit_rrm_server.observe import tracing
from edit_rrm_server.scoring.image_intake import File
from edit_rrm_server.scoring.plan import Edit, Plan
from edit_rrm_server.scoring.reward_service import Decoded, RewardService, ScoreCall, usable
from edit_rrm_server.scoring.time_limit import time_limit


async def answer_score(
    rewards: RewardService,
    plan: Plan,
    envelope: Envelope[ScoreRequest],
    call_id: str,
    arrived_at: float,
    admission: Admission,
) -> ScoreAnswer:
    """The answer to an admitted call, by its deadline. Raises ServiceError and EditRRMError."""
    body = envelope.body
    sources = body.all_sources
    candidates = {f"candidates.{i}": ref for i, ref in enumerate(body.candidates)}
    refs = {**sources, **candidates}
    encoded = envelope.encoded_images(refs)
    # A part's bytes are needed until it is decoded, if one field names it; all others as long as the call.
    uses = Counter(ref.part for ref in refs.values())
    once = {path for path, ref in refs.items() if ref.part is not None and uses[ref.part] == 1}
    let_go = envelope.share.free if envelope.share and not rewards.keeps_files else None
    async with rewards.opened(encoded, admission) as files:
        encoded.clear()
        envelope.parts.clear()
        decoding = {
            path: asyncio.create_task(
                _decoded(rewards, files.pop(path), admission.lane, let_go if path in once else None)
            )
            for path in list(files)
        }
        try:
            with tracing.span("images", count=len(sources)):
                async with time_limit(admission.deadline_at):
                    shown = [usable(await decoding[path]) for path in sources]
            edit = Edit.of(shown, body.instruction, body.source_of_guards)
            call = ScoreCall(call_id, plan, edit, [decoding[path] for path in candidates], arrived_at)
            return await rewards.score(call, admission)
        finally:
            for task in decoding.values():
                task.cancel()  # one whose turn has not come is not decoded; a finished one stays as it is


async def _decoded(
    rewards: RewardService, file: File, lane: Priority, let_go: Callable[[int], None] | None
) -> Decoded:
    """The image, or why it cannot be used. Not raised: nobody may wait for it any more."""
    try:
        return await rewards.decode(file, lane)
    except (ImageError, RequestRefusedError) as error:
        return error
    finally:
        if let_go is not None and isinstance(file, bytes):
            let_go(len(file))
