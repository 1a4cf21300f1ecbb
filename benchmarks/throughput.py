"""How much of the engine's throughput is left once the service stands in front of it?

    .venv/bin/python benchmarks/throughput.py [--groups 8] [--repetitions 15] [--picture 512]

The same prompts twice: as group calls over HTTP to `edit-rrm-server serve`, all at once, and straight
through vLLM's offline `LLM.generate` with the same settings, its engine in a process of its own like the
service's. Both get the same groups, new ones every repetition; who comes first alternates. Bar: at
least 0.97 of the output tokens a second. --picture takes photographs of that size: decoding them and
bringing them to the size that the model is shown is the service's work, the engine alone gets them so.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table
from rig.calls import Body, Group, make_groups, multipart
from rig.engines import Judge, offline_llm, settings_for
from rig.pictures import photographed
from rig.processes import ServerProcess, end_on_sigterm, reward_server
from rig.report import Bar, console, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL

BAR = Bar("service against engine alone, output tokens a second", 0.97, at_least=True)


@dataclass(frozen=True)
class Run:
    """One side's work on all groups of a repetition."""

    took_s: float
    server_cpu_s: float  # the process that speaks HTTP; 0 for the engine alone
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int

    @property
    def output_tokens_per_s(self) -> float:
        """What is compared: traces of the two sides may differ by a token where a logit ties."""
        return self.output_tokens / self.took_s


def through_service(server: ServerProcess, bodies: Sequence[Body]) -> Run:
    """All group calls at once, from the first byte sent to the last answer."""

    async def run() -> tuple[float, list[httpx.Response]]:
        async with httpx.AsyncClient(base_url=server.url, timeout=600.0) as http:
            started = time.perf_counter()
            answers = await asyncio.gather(*(body.send(http) for body in bodies))
            return time.perf_counter() - started, answers

    before = server.cpu_time()
    took_s, answers = asyncio.run(run())
    server_cpu_s = server.cpu_time().server_s - before.server_s
    usage = [_usage(answer) for answer in answers]
    return Run(
        took_s,
        server_cpu_s,
        sum(u["prompt_tokens"] for u in usage),
        sum(u["cached_prompt_tokens"] for u in usage),
        sum(u["completion_tokens"] for u in usage),
    )


def through_engine(llm: Any, judge: Judge, groups: Sequence[Group]) -> Run:
    """The same prompts in one `generate`; images are decoded already, which is the service's own work."""
    prompts = [prompt for group in groups for prompt in judge.prompts(group)]
    sampling = judge.sampling()
    started = time.perf_counter()
    outputs = llm.generate(prompts, sampling, use_tqdm=False)
    took_s = time.perf_counter() - started
    return Run(
        took_s,
        0.0,
        sum(len(output.prompt_token_ids) for output in outputs),
        sum(output.num_cached_tokens or 0 for output in outputs),
        sum(len(output.outputs[0].token_ids) for output in outputs),
    )


def _usage(answer: httpx.Response) -> dict[str, int]:
    if answer.status_code != 200:
        raise RuntimeError(f"a group was not scored: {answer.status_code} {answer.text[:500]}")
    usage: dict[str, int] = answer.json()["usage"]
    return usage


def show(service: Sequence[Run], engine: Sequence[Run], candidates: int) -> None:
    """The table and the bar."""
    ratios = [s.output_tokens_per_s / e.output_tokens_per_s for s, e in zip(service, engine, strict=True)]
    table = Table(
        "", "median s", "candidates/s", "output tokens/s", "prompt tokens", "cached", "output tokens",
        title=f"{candidates} candidates at once, {len(ratios)} repetitions",
    )  # fmt: skip
    for name, runs in (("engine alone", engine), ("service", service)):
        median_s = statistics.median(run.took_s for run in runs)
        table.add_row(
            name,
            f"{median_s:.2f}",
            f"{candidates / median_s:.1f}",
            f"{statistics.median(run.output_tokens_per_s for run in runs):.0f}",
            f"{sum(run.prompt_tokens for run in runs)}",
            f"{sum(run.cached_tokens for run in runs)}",
            f"{sum(run.output_tokens for run in runs)}",
        )
    console.print(table)
    shares = [run.server_cpu_s / run.took_s for run in service]
    console.print(
        f"the process that speaks HTTP used {statistics.median(run.server_cpu_s for run in service):.2f} s"
        f" of processor time a repetition: {statistics.median(shares):.3f} of one core"
    )
    console.print("ratio of each repetition: " + ", ".join(f"{ratio:.3f}" for ratio in ratios))
    BAR.judge(statistics.median(ratios))


def main(
    groups: Annotated[int, typer.Option(help="Group calls of a repetition, sent at once.")] = 8,
    size: Annotated[int, typer.Option(help="Candidates of a group, at most 64.")] = 24,
    repetitions: Annotated[int, typer.Option(help="Repetitions, each with groups of its own.")] = 15,
    picture: Annotated[int | None, typer.Option(help="Photographs with sides of so many pixels.")] = None,
    guards: Annotated[
        str, typer.Option(help="off leaves out work that the engine alone has no part in.")
    ] = "report",
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints throughput of the service and of the engine alone, and the ratio. Bar: at least 0.97."""
    end_on_sigterm()
    settings = settings_for(model)
    progress.print(f"rendering {repetitions * groups + 1} groups of {size}")
    rounds = [make_groups(groups, size, first=r * groups) for r in range(repetitions)]
    warm_up = make_groups(1, size, first=repetitions * groups)
    if picture is not None:
        rounds = [
            [photographed(group, picture, r * groups + n) for n, group in enumerate(work)]
            for r, work in enumerate(rounds)
        ]
    service, engine = [], []
    progress.print("starting the service, then the engine")
    with (
        reward_server(model, retries=0, score_cache_mib=0) as server,
        offline_llm(settings, own_process=True) as llm,
    ):
        judge = Judge(model, llm.get_tokenizer())
        through_service(server, [multipart(group) for group in warm_up])
        through_engine(llm, judge, warm_up)
        for number, work in enumerate(rounds):
            progress.print(f"repetition {number + 1} of {repetitions}")
            bodies = [multipart(group, guards=guards) for group in work]
            if number % 2:
                engine.append(through_engine(llm, judge, work))
                service.append(through_service(server, bodies))
            else:
                service.append(through_service(server, bodies))
                engine.append(through_engine(llm, judge, work))
    show(service, engine, groups * size)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
