"""Step 4: a verifier sees quadruple and candidate traces, and writes the verdicts that count as gold."""

from collections.abc import Callable
from pathlib import Path

from edit_rrm.prompts import ImageSlot
from edit_rrm_training.endpoints.endpoint import ChatRequest, Meter, ask, seed_of
from edit_rrm_training.pipeline.grouped import Grouped
from edit_rrm_training.pipeline.journal import read_unique
from edit_rrm_training.pipeline.prompts import with_reviews
from edit_rrm_training.pipeline.rows import GoldRow, Quadruple, TraceRow, read_findings
from edit_rrm_training.pipeline.running import StepReport, Task, run_step
from edit_rrm_training.pipeline.settings import PipelineSettings


async def verify(
    settings: PipelineSettings,
    quadruples: Path,
    traces: Path,
    out: Path,
    *,
    retry_failed: bool = False,
    on_done: Callable[[], None] = lambda: None,
) -> StepReport:
    """Reads Quadruple and TraceRow, writes GoldRow. `reason` must be done: traces that come later than the
    verdicts were not seen by the verifier."""
    wanted = settings.verify
    profile = settings.prompt_profile()
    async with settings.opened(wanted.endpoint) as endpoints:
        endpoint = endpoints[wanted.endpoint]
        with Grouped(traces, TraceRow) as written:

            async def work(quadruple: Quadruple, meter: Meter) -> GoldRow:
                prompt = profile.verify(quadruple.instruction, quadruple.principles)
                request = ChatRequest(
                    with_reviews(prompt, written.of(quadruple.id)),
                    {ImageSlot.SOURCE: quadruple.source, ImageSlot.CANDIDATE: quadruple.candidate},
                    quadruples.parent, wanted.temperature, seed_of(settings.seed, "gold", quadruple.id),
                    wanted.max_tokens,
                )  # fmt: skip
                trace = await ask(
                    endpoint, request, lambda text: profile.parse_trace(text, quadruple.principles),
                    wanted.draws, meter,
                )  # fmt: skip
                verdicts, evidence = read_findings(trace)
                return GoldRow(
                    id=quadruple.id, quadruple=quadruple.id, verdicts=verdicts, evidence=evidence,
                    score=trace.score, usage=meter.usage, verifier=endpoint.name,
                )  # fmt: skip

            tasks = (Task(quadruple.id, quadruple) for quadruple in read_unique(quadruples, Quadruple))
            return await run_step(
                "verify", tasks, work, out, GoldRow,
                concurrency=endpoint.concurrency, retry_failed=retry_failed, on_done=on_done,
            )  # fmt: skip
