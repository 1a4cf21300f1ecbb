"""Step 3: a pool of teachers writes several traces per quadruple, varying model, prompt and temperature."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from edit_rrm.prompts import ImageSlot
from edit_rrm_training.endpoints.endpoint import ChatRequest, Meter, ask, seed_of
from edit_rrm_training.pipeline.journal import read_unique
from edit_rrm_training.pipeline.prompts import with_stance
from edit_rrm_training.pipeline.rows import Quadruple, TraceRow, read_findings
from edit_rrm_training.pipeline.running import StepReport, Task, run_step
from edit_rrm_training.pipeline.settings import PipelineSettings, TeacherSettings


def teachers_of(settings: PipelineSettings, quadruple: str) -> tuple[TeacherSettings, ...]:
    """Who writes the traces of a quadruple, in order of their number: nobody twice before all came once."""
    pool = settings.teachers
    shuffled = random.Random(f"teachers-{settings.seed}-{quadruple}").sample(pool, len(pool))
    return tuple(shuffled[number % len(pool)] for number in range(settings.reason.traces))


async def reason(
    settings: PipelineSettings,
    quadruples: Path,
    out: Path,
    *,
    retry_failed: bool = False,
    on_done: Callable[[], None] = lambda: None,
) -> StepReport:
    """Reads Quadruple, writes TraceRow."""
    profile = settings.prompt_profile()
    async with settings.opened(*{teacher.endpoint for teacher in settings.teachers}) as endpoints:

        def tasks() -> Iterator[Task[tuple[Quadruple, int, TeacherSettings]]]:
            for quadruple in read_unique(quadruples, Quadruple):
                for number, teacher in enumerate(teachers_of(settings, quadruple.id)):
                    yield Task(f"{quadruple.id}#{number}", (quadruple, number, teacher))

        async def work(task: tuple[Quadruple, int, TeacherSettings], meter: Meter) -> TraceRow:
            quadruple, number, teacher = task
            name = f"{quadruple.id}#{number}"
            request = ChatRequest(
                with_stance(profile.verify(quadruple.instruction, quadruple.principles), teacher.stance),
                {ImageSlot.SOURCE: quadruple.source, ImageSlot.CANDIDATE: quadruple.candidate},
                quadruples.parent, teacher.temperature, seed_of(settings.seed, name),
                settings.reason.max_tokens,
            )  # fmt: skip
            trace = await ask(
                endpoints[teacher.endpoint], request,
                lambda text: profile.parse_trace(text, quadruple.principles), settings.reason.draws, meter,
            )  # fmt: skip
            verdicts, evidence = read_findings(trace)
            return TraceRow(
                id=name, quadruple=quadruple.id, verdicts=verdicts, evidence=evidence, score=trace.score,
                usage=meter.usage, number=number, teacher=teacher.name,
            )  # fmt: skip

        return await run_step(
            "reason", tasks(), work, out, TraceRow,
            concurrency=sum(endpoint.concurrency for endpoint in endpoints.values()),
            retry_failed=retry_failed, on_done=on_done,
        )  # fmt: skip
