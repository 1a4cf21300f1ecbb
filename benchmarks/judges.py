"""What a group costs by who judges it: traces, verdicts alone, one digit; and what verdicts alone are worth.

    python benchmarks/judges.py [--model PATH] [--group 24] [--rounds 5]

One process, one engine, one run. In every round each judge scores one group (the real application over an
in-process transport, pictures as PNG), in turn, and every group is an edit of its own from the shapes world
that no judge has seen. Ratios are of the medians. Verdicts are compared with the world's own, principle by
principle. The bundled model knows no digits, so `digit` is timed with whatever it makes of them.
"""

import asyncio
import os
import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import httpx
import typer
from latency import answered, principles
from rich.console import Console
from rich.table import Table

from edit_rrm.intervals import Cluster, mean_of, share_interval
from edit_rrm.judges.judge import Judge
from edit_rrm.judges.shelf import find_judge
from edit_rrm.judges.written import WrittenJudge
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.vllm.start import end_forkserver, prepare_environment
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings
from edit_rrm_shapes.world.dataset import EditRecord, make_edit

SEED = 4100
JUDGES = ("trained", "verdicts_only", "principles_yes_no", "digit")


@dataclass
class Measured:
    """What one judge was seen to cost and to say."""

    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    failed: int = 0
    verdicts: list[Cluster] = field(default_factory=list)
    """Of every group: the verdicts, and those that agree with the world."""


def judge_for_timing(name: str) -> Judge:
    """The judge; one of single tokens without its least probability: nobody taught the bundled model."""
    judge = find_judge(name)
    if not isinstance(judge, WrittenJudge) or not hasattr(judge.spec.asks[0].answer, "least_mass"):
        return judge
    answer = judge.spec.asks[0].answer.model_copy(update={"least_mass": 0.0})
    ask = judge.spec.asks[0].model_copy(update={"answer": answer})
    return WrittenJudge(judge.spec.model_copy(update={"asks": (ask,)}))


async def score(http: httpx.AsyncClient, edit: EditRecord, judge: Judge, measured: Measured) -> None:
    """One group through HTTP, guards off."""
    took_s, response = await answered(http, edit, principles(edit) if judge.needs_principles else ())
    measured.seconds.append(took_s)
    if response.status_code != 200:
        raise RuntimeError(response.text)
    answer = response.json()
    measured.tokens.append(answer["usage"]["completion_tokens"])
    group = Cluster()
    for candidate, result in zip(edit.candidates, answer["results"], strict=True):
        measured.failed += result["status"] != "ok"
        for finding, verdict in zip(candidate.findings, result.get("verdicts", ()), strict=False):
            group.add(finding.met == verdict["met"])
    measured.verdicts.append(group)


async def measure(settings: ServerSettings, group: int, rounds: int) -> dict[str, Measured]:
    """Every judge on one engine, in turn."""
    from edit_rrm_server.api.app import create_app
    from edit_rrm_server.engines.vllm.loading import load_vllm_model
    from edit_rrm_server.life.service import Service
    from edit_rrm_server.scoring.warm_up import warm_up

    console = Console(stderr=True)
    model = await load_vllm_model(settings, console.print, warm_up)
    found = {name: Measured() for name in JUDGES}
    clients: dict[str, tuple[httpx.AsyncClient, Judge]] = {}
    services = []
    for name in JUDGES:
        judge = judge_for_timing(name)

        async def load(_: Path, chosen: Judge = judge) -> LoadedModel:
            return replace(model, chosen_judge=chosen)

        service = Service(settings, load)
        service.start()
        services.append(service)
        await service.load_ended.wait()
        transport = httpx.ASGITransport(create_app(service))
        http = httpx.AsyncClient(transport=transport, base_url="http://service", timeout=600)
        clients[name] = (http, judge)
    try:
        for index in range(-1, rounds):
            for place, (name, (http, judge)) in enumerate(clients.items()):
                console.print(f"round {index + 1} of {rounds}: {name}")
                edit = make_edit(SEED, (index + 1) * len(clients) + place, group)
                await score(http, edit, judge, Measured() if index < 0 else found[name])  # the first warms up
    finally:
        for http, _ in clients.values():
            await http.aclose()
        for service in services:
            await service.drain(0.0)  # before the engine they share ends: none of them is to restart it
        for service in services:
            await service.stop()
    return found


def table_of(found: dict[str, Measured], group: int) -> Table:
    """Seconds, ratio to traces, tokens, and the verdicts' agreement with the world."""
    table = Table("judge", "median s a group", "times faster", "tokens", "failed", "right verdicts [95 %]")
    base = statistics.median(found["trained"].seconds)
    for name, seen in found.items():
        median = statistics.median(seen.seconds)
        share, interval = mean_of(seen.verdicts), share_interval(seen.verdicts)
        agreed = "none"
        if share is not None and interval is not None:
            said = sum(cluster.count for cluster in seen.verdicts)
            agreed = f"{share:.3f} of {said} [{interval.low:.3f}, {interval.high:.3f}]"
        tokens = statistics.fmean(seen.tokens)
        cells = (
            f"{median:.2f}",
            f"{base / median:.1f}",
            f"{tokens:.0f}",
            str(seen.failed),
        )
        table.add_row(name, *cells, agreed)
    table.title = f"{group} candidates a group, {len(found['trained'].seconds)} groups a judge"
    return table


def main(
    model: Annotated[Path, typer.Option(help="Checkpoint, of the trained profile.")] = BUNDLED_MODEL,
    group: Annotated[int, typer.Option(help="Candidates of a group.")] = 24,
    rounds: Annotated[int, typer.Option(help="Groups of each judge.")] = 5,
) -> None:
    """Prints the table."""
    settings = ServerSettings(model=model, retries=0)
    prepare_environment(settings)
    try:
        Console().print(table_of(asyncio.run(measure(settings, group, rounds)), group))
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        Console().print(f"{len(os.sched_getaffinity(0))} cores, load average {load}")
    finally:
        end_forkserver()


if __name__ == "__main__":
    typer.run(main)
