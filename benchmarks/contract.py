"""Is every answer of the real service one that its OpenAPI document knows?

    .venv/bin/python benchmarks/contract.py [--requests 20000] [--limit-s 3600] [--out FILE]

Requests are made from the document itself (rig/contract_cases.py), half of them right and half wrong, for
every route but the administration's, dialects included, and chains of them along its links
(rig/contract_links.py); several clients, each a process, send them to a real server with the real engine.
Counted by status and code. Bar: no fault, that is no status, media type, header, field or code that the
document does not have, no wrong request that is scored, no 500, and no request that the engine fails at.
"""

import functools
import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import Progress
from rich.table import Table
from rig.contract_cases import Operation, Outcome, operations, send_cases
from rig.contract_links import LONGEST_CHAIN, START, follow_links
from rig.figures import Out, bar_met, write_figures
from rig.processes import end_on_sigterm, reward_server
from rig.report import Bar, console, progress, say_machine

from edit_rrm_server.api.description import whole_api
from edit_rrm_server.settings.server import BUNDLED_MODEL

FAULTS_BAR = Bar("answers that the document does not know", 0, at_least=False)
DEFECTS_BAR = Bar("answers 500, or engine_failed of an engine that lives", 0, at_least=False)
BATCH = 60
SHOWN_FAULTS = 20


@dataclass(frozen=True)
class Batch:
    """Requests that one client sends one after the other: of an operation, or chains from any."""

    kind: Literal["right", "wrong", "chains"]
    operation: str
    count: int
    number: int


@dataclass(frozen=True)
class Sent:
    """One request's outcome, and the link it came by."""

    outcome: Outcome
    link: str = START


def batches(first: int) -> Iterator[Batch]:
    """Without end: operations without a body once, then chains, and those with one right and wrong."""
    taking = [one.label for one in operations(whole_api()) if one.body]
    without = [one.label for one in operations(whole_api()) if not one.body]
    numbers = itertools.count(first)
    for label in without:
        yield Batch("right", label, 1, next(numbers))
    while True:
        yield Batch("chains", "", BATCH // LONGEST_CHAIN, next(numbers))
        for label in taking:
            yield Batch("right", label, BATCH, next(numbers))
            yield Batch("wrong", label, BATCH, next(numbers))


def send(batch: Batch, url: str) -> list[Sent]:
    """In a process of its own."""
    sent: list[Sent] = []
    if batch.kind == "chains":
        tell_link = lambda link, outcome: sent.append(Sent(outcome, link))  # noqa: E731
        follow_links(whole_api(), url, batch.count, batch.number, tell_link)
    else:
        tell = lambda outcome: sent.append(Sent(outcome))  # noqa: E731
        right = batch.kind == "right"
        send_cases(_operations()[batch.operation], url, batch.count, batch.number, tell, right=right)
    return sent


@functools.cache
def _operations() -> dict[str, Operation]:
    return {operation.label: operation for operation in operations(whole_api())}


def main(
    requests: Annotated[int, typer.Option(help="Requests to send, at least.")] = 2000,
    limit_s: Annotated[float, typer.Option(help="Ends after this time, however many were sent.")] = 3600.0,
    seed: Annotated[int, typer.Option(help="Of the requests.")] = 1,
    clients: Annotated[int, typer.Option(min=1, help="Processes that send them.")] = 3,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
    out: Out = None,
) -> None:
    """Prints how many answers there were of each status and code, and every fault. Bars: none, and no 500."""
    end_on_sigterm()
    sent: list[Sent] = []
    running: set[Future[list[Sent]]] = set()
    dialects = {"dialects": "flow_factory,unirl", "default_deadline_s": 5}
    context = multiprocessing.get_context("spawn")
    with (
        reward_server(model, **dialects) as server,
        ProcessPoolExecutor(clients, context) as pool,
        Progress(console=progress) as shown,
    ):
        task = shown.add_task("requests", total=requests)
        planned, until = batches(seed), time.monotonic() + limit_s
        while len(sent) < requests and time.monotonic() < until:
            while len(running) < clients:
                running.add(pool.submit(send, next(planned), server.url))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            sent += [one for each in done for one in each.result()]
            shown.update(task, completed=len(sent))
        sent += [one for each in running for one in each.result()]
    tell_of(sent, out)
    say_machine()


def tell_of(sent: list[Sent], out: Path | None) -> None:
    """Tables, faults, bars; the same as figures."""
    outcomes = [one.outcome for one in sent]
    table = Table("operation", "requests", "status", "code", "answers")
    counted = Counter((o.operation, o.right, o.status, o.code) for o in outcomes)
    for (name, right, status, code), count in sorted(counted.items()):
        table.add_row(name, "right" if right else "wrong", str(status), code, str(count))
    console.print(table)
    links = Table("link", "status", "code", "answers")
    followed = Counter((s.link, s.outcome.status, s.outcome.code) for s in sent if s.link != START)
    for (link, status, code), count in sorted(followed.items()):
        links.add_row(link, str(status), code, str(count))
    console.print(links)
    faults = Counter((o.operation, fault) for o in outcomes for fault in o.faults)
    for (name, fault), count in faults.most_common(SHOWN_FAULTS):
        console.print(f"{count} x {name}: {fault}", markup=False)
    wrong = sum(not outcome.right for outcome in outcomes)
    console.print(f"{len(outcomes)} requests, {wrong} of them wrong, {followed.total()} by a link")
    faulty = sum(bool(outcome.faults) for outcome in outcomes)
    defects = sum(outcome.status == 500 or outcome.code == "engine_failed" for outcome in outcomes)
    FAULTS_BAR.judge(faulty)
    DEFECTS_BAR.judge(defects)
    figures: dict[str, Any] = {
        "requests": len(outcomes),
        "wrong": wrong,
        "by_a_link": followed.total(),
        "answers": [
            {"operation": name, "right": right, "status": status, "code": code, "answers": count}
            for (name, right, status, code), count in sorted(counted.items())
        ],
        "links": [
            {"link": link, "status": status, "code": code, "answers": count}
            for (link, status, code), count in sorted(followed.items())
        ],
        "faults": [
            {"operation": name, "fault": fault, "answers": count}
            for (name, fault), count in faults.most_common()
        ],
        "bars": [bar_met(FAULTS_BAR, faulty), bar_met(DEFECTS_BAR, defects)],
    }
    write_figures(out, figures)


if __name__ == "__main__":
    typer.run(main)
