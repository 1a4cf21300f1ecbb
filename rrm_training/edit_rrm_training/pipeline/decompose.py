"""Step 1: (source, instruction) to the principle set P, by a strong VLM (docs/paper.md, Stage 1)."""

from collections.abc import Callable
from pathlib import Path

from edit_rrm.principles import Principle
from edit_rrm.prompts import ImageSlot
from edit_rrm_training.data.pictures import rebased
from edit_rrm_training.endpoints.endpoint import ChatRequest, Meter, ask, seed_of
from edit_rrm_training.pipeline.journal import read_unique
from edit_rrm_training.pipeline.rows import DecomposedEdit, EditRow
from edit_rrm_training.pipeline.running import StepReport, Task, run_step
from edit_rrm_training.pipeline.settings import PipelineSettings


async def decompose(
    settings: PipelineSettings,
    edits: Path,
    out: Path,
    *,
    retry_failed: bool = False,
    on_done: Callable[[], None] = lambda: None,
) -> StepReport:
    """Reads EditRow, writes DecomposedEdit."""
    wanted = settings.decompose
    profile = settings.prompt_profile()

    def parse(text: str) -> tuple[Principle, ...]:
        principles = profile.parse_principles(text)
        wanted.counts.check(principles, text)
        return principles

    async with settings.opened(wanted.endpoint) as endpoints:
        endpoint = endpoints[wanted.endpoint]

        async def work(edit: EditRow, meter: Meter) -> DecomposedEdit:
            seed = seed_of(settings.seed, edit.id)
            request = ChatRequest(
                profile.decompose(edit.instruction, seed=seed), {ImageSlot.SOURCE: edit.source}, edits.parent,
                wanted.temperature, seed, wanted.max_tokens,
            )  # fmt: skip
            principles = await ask(endpoint, request, parse, wanted.draws, meter)
            return DecomposedEdit(
                id=edit.id, instruction=edit.instruction, category=edit.category,
                source=rebased(edit.source, edits.parent, out.parent),
                principles=principles, endpoint=endpoint.name, usage=meter.usage,
            )  # fmt: skip

        tasks = (Task(edit.id, edit) for edit in read_unique(edits, EditRow))
        return await run_step(
            "decompose", tasks, work, out, DecomposedEdit,
            concurrency=endpoint.concurrency, retry_failed=retry_failed, on_done=on_done,
        )  # fmt: skip
