"""Does n-gram speculation pay on traces?

    .venv/bin/python benchmarks/ngram.py [--size 6] [--groups 1] [--repetitions 3]

vLLM guesses the next tokens by looking for the last ones earlier in prompt and trace, and checks the guesses
in one step: greedy texts stay as they are. A trace names again what the principles ask, so there is something
to find; a step that checks guesses costs more, and a full batch pays for it. Two services of one checkpoint,
one of them with `engine_args.speculative_config`, score the same new groups in turn, the other stopped
meanwhile: one candidate a call, and a whole group. Texts must be equal. Ratios are taken within a repetition.
"""

import asyncio
import json
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table
from rig.calls import Body, Supply
from rig.processes import ServerProcess, end_on_sigterm, reward_server
from rig.report import Bar, console, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL

TIMEOUT_S = 600.0
EQUAL_BAR = Bar("traces that are equal with and without, share", 1.0, at_least=True)
PAYS_BAR = Bar("one candidate a call: times faster with speculation", 1.0, at_least=True)
_COUNTER = r"^vllm:spec_decode_num_{}_tokens_total(?:{{[^}}]*}})? (\S+)$"


@dataclass(frozen=True)
class Run:
    """One side's work on some calls, one after the other."""

    took_s: float
    tokens: int
    traces: tuple[str, ...]


def speculation(guesses: int, shortest: int, longest: int) -> dict[str, Any]:
    """vLLM's configuration: so many tokens guessed, after a match of so many."""
    return {
        "method": "ngram",
        "num_speculative_tokens": guesses,
        "prompt_lookup_min": shortest,
        "prompt_lookup_max": longest,
    }


async def ask(url: str, bodies: Sequence[Body]) -> Run:
    """The calls one after the other. Raises RuntimeError for a candidate without a trace."""
    traces, tokens = [], 0
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as http:
        started = time.perf_counter()
        answers = [(await body.send(http)).raise_for_status().json() for body in bodies]
        took_s = time.perf_counter() - started
    for answer in answers:
        tokens += answer["usage"]["completion_tokens"]
        for result in answer["results"]:
            if result["status"] != "ok":
                raise RuntimeError(f"a candidate was not scored: {result}")
            traces += [sample["reasoning"] for sample in result["samples"]]
    return Run(took_s, tokens, tuple(traces))


def measure(
    sides: dict[str, ServerProcess], supply: Supply, calls: int, repetitions: int
) -> dict[str, list[Run]]:
    """The runs of each side on the same calls; who comes first alternates."""
    runs: dict[str, list[Run]] = {name: [] for name in sides}
    for repetition in range(repetitions):
        progress.print(f"repetition {repetition + 1} of {repetitions}")
        bodies = [supply.take() for _ in range(calls)]
        order = list(sides)
        for name in reversed(order) if repetition % 2 else order:
            (other,) = [side for each, side in sides.items() if each != name]
            with other.stopped():
                runs[name].append(asyncio.run(ask(sides[name].url, bodies)))
    return runs


def equal_share(plain: Sequence[Run], guessed: Sequence[Run]) -> float:
    """Of the traces, those that both sides wrote alike."""
    pairs = [
        pair
        for one, other in zip(plain, guessed, strict=True)
        for pair in zip(one.traces, other.traces, strict=True)
    ]
    return statistics.fmean(one == other for one, other in pairs)


def times_faster(plain: Sequence[Run], guessed: Sequence[Run]) -> float:
    """Median over repetitions of the plain side's time over the other's."""
    return statistics.median(one.took_s / other.took_s for one, other in zip(plain, guessed, strict=True))


def accepted_share(metrics: str) -> float:
    """Of the guessed tokens those that were right, from a service's /metrics."""
    drafted, accepted = (
        sum(float(value) for value in re.findall(_COUNTER.format(name), metrics, re.MULTILINE))
        for name in ("draft", "accepted")
    )
    if not drafted:
        raise RuntimeError("nothing was guessed: speculation is not on")
    return accepted / drafted


def main(
    size: Annotated[int, typer.Option(help="Candidates of a group.")] = 6,
    groups: Annotated[int, typer.Option(help="Groups of a repetition; as many single candidates.")] = 1,
    repetitions: Annotated[int, typer.Option(help="Runs of each side.")] = 3,
    guesses: Annotated[int, typer.Option(help="Tokens guessed in a step.")] = 4,
    shortest: Annotated[int, typer.Option(help="Least tokens that must match.")] = 2,
    longest: Annotated[int, typer.Option(help="Most tokens that are looked for.")] = 4,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints times, ratios, the share of guesses that were right and that of equal traces."""
    end_on_sigterm()
    settings = {"score_cache_mib": 0, "retries": 0}
    config = json.dumps(speculation(guesses, shortest, longest))
    table = Table(
        "a call", "plain, median s", "tokens/s", "guessed, median s", "tokens/s", "times faster", "equal",
        title=f"{guesses} tokens guessed after {shortest} to {longest}; {repetitions} repetitions",
    )  # fmt: skip
    faster, equal = [], []
    with (
        reward_server(model, **settings) as plain,
        reward_server(model, **settings, **{"engine_args.speculative_config": config}) as guessed,
    ):
        sides = {"plain": plain, "guessed": guessed}
        for candidates in (1, size):
            supply = Supply(candidates, include=["reasoning"])
            supply.stock(groups * (repetitions + 1))
            measure(sides, supply, 1, 1)  # what is compiled at the first call
            runs = measure(sides, supply, groups, repetitions)
            faster.append(times_faster(*runs.values()))
            equal.append(equal_share(*runs.values()))
            cells = [
                cell
                for done in runs.values()
                for cell in (
                    f"{statistics.median(run.took_s for run in done):.2f}",
                    f"{sum(run.tokens for run in done) / sum(run.took_s for run in done):.0f}",
                )
            ]
            table.add_row(f"{candidates} candidates", *cells, f"{faster[-1]:.2f}", f"{equal[-1]:.3f}")
        right = accepted_share(httpx.get(f"{guessed.url}/metrics").text)
    console.print(table)
    console.print(f"guesses that were right: {right:.0%}")
    EQUAL_BAR.judge(min(equal))
    PAYS_BAR.judge(faster[0])
    say_machine()


if __name__ == "__main__":
    typer.run(main)
