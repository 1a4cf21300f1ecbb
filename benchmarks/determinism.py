"""Is a candidate's answer the same alone, in a group, under load and from another replica?

    .venv/bin/python benchmarks/determinism.py [--edits 24] [--dtypes float32,bfloat16] [--out FILE]

Every candidate is first scored alone, then once more, with its group, alone while other calls keep the
engine's steps full, and in groups over two services with the same checkpoint. The score cache is off. Each
answer is compared with the first: rewards and probabilities to the bit, texts, verdicts. In bfloat16 the
share of verdicts that turn is what a number of eight bits costs; a CPU that does not multiply in it is told.
Bundled model, real vLLM. Bars, in float32: no verdict turns, no reward differs by more than 1e-5.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import torch
import typer
from rich.progress import Progress
from rich.table import Table
from rig.calls import Group, make_groups
from rig.figures import Out, bar_met, write_figures
from rig.processes import ServerProcess, end_on_sigterm, reward_server
from rig.report import Bar, console, progress, say_machine

from edit_rrm.cpu import has_bfloat16
from edit_rrm_client import AsyncRewardClient, CandidateScored, ScoreAnswer
from edit_rrm_server.settings.server import BUNDLED_MODEL

SIZE = 4
WORLD, OTHER_WORLD = 8300, 8400
LOADING_CALLS, LOADING_GROUPS = 6, 24
FLIPS_BAR = Bar("verdicts that turn in float32", 0, at_least=False)
GAP_BAR = Bar("largest difference of a reward in float32", 1e-5, at_least=False)
SERVED = {"score_cache_mib": 0, "retries": 0, "kv_cache_gib": 0.25}


@dataclass(frozen=True)
class Reading:
    """What one candidate was answered: numbers and words."""

    reward: float
    text: str
    met: tuple[bool, ...]
    probabilities: tuple[float | None, ...]


Readings = dict[tuple[int, int], Reading]
"""By group and candidate; one without a trace that parses is missing."""


@dataclass(frozen=True)
class Compared:
    """One way of asking beside the first, over the candidates that both have an answer for.

    `lost` have an answer in one of the two only.
    """

    way: str
    candidates: int
    lost: int
    equal_to_the_bit: int
    other_texts: int
    verdicts: int
    turned_verdicts: int
    largest_difference: float


def compare(way: str, first: Readings, other: Readings) -> Compared:
    """`other` beside `first`."""
    both = [(first[key], other[key]) for key in first.keys() & other.keys()]
    turned = [a != b for one, two in both for a, b in zip(one.met, two.met, strict=True)]
    return Compared(
        way,
        candidates=len(both),
        lost=len(first.keys() ^ other.keys()),
        equal_to_the_bit=sum(one == two for one, two in both),
        other_texts=sum(one.text != two.text for one, two in both),
        verdicts=len(turned),
        turned_verdicts=sum(turned),
        largest_difference=max((abs(one.reward - two.reward) for one, two in both), default=0.0),
    )


class Asking:
    """The ways a candidate is asked, of one service or of two that share the calls."""

    def __init__(self, client: AsyncRewardClient, groups: Sequence[Group]) -> None:
        self._client = client
        self._groups = groups

    async def alone(self) -> Readings:
        """One call a candidate, one call at a time."""
        found: Readings = {}
        for number, group in enumerate(self._groups):
            for place in range(SIZE):
                found |= _read(number, (place,), await self._score(group, (place,)))
        return found

    async def in_groups(self) -> Readings:
        """One call a group, all calls at once."""
        places = tuple(range(SIZE))
        answers = await asyncio.gather(*(self._score(group, places) for group in self._groups))
        found: Readings = {}
        for number, answer in enumerate(answers):
            found |= _read(number, places, answer)
        return found

    async def under_load(self) -> Readings:
        """As `alone`, while other calls fill the engine."""
        async with self._loaded():
            return await self.alone()

    @contextlib.asynccontextmanager
    async def _loaded(self) -> AsyncIterator[None]:
        others = make_groups(LOADING_GROUPS, SIZE, seed=OTHER_WORLD)

        async def again(first: int) -> None:
            number = first
            while True:
                await self._score(others[number % len(others)], tuple(range(1 + number % SIZE)))
                number += LOADING_CALLS

        tasks = [asyncio.create_task(again(first)) for first in range(LOADING_CALLS)]
        try:
            yield
        finally:
            failed = [task.exception() for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if failed:
                raise RuntimeError("the load ended before the calls beside it") from failed[0]

    async def _score(self, group: Group, places: Sequence[int]) -> ScoreAnswer:
        return await self._client.score(
            group.instruction,
            group.source,
            [group.candidates[place] for place in places],
            principles=group.principles,
            guards="off",
            include=("reasoning",),
        )


def _read(number: int, places: Sequence[int], answer: ScoreAnswer) -> Readings:
    found: Readings = {}
    for place, result in zip(places, answer.results, strict=True):
        if isinstance(result, CandidateScored):
            found[number, place] = Reading(
                result.reward,
                result.samples[0].reasoning or "",
                tuple(verdict.met for verdict in result.verdicts),
                tuple(verdict.probability for verdict in result.verdicts),
            )
    return found


async def ask_all(urls: Sequence[str], groups: Sequence[Group], shown: Progress) -> list[Compared]:
    """Every way beside the first, which is alone, at the first service."""
    async with AsyncRewardClient(urls[0]) as one, AsyncRewardClient(list(urls)) as several:
        at_one = Asking(one, groups)
        ways: list[tuple[str, Callable[[], Awaitable[Readings]]]] = [
            ("alone, once more", at_one.alone),
            ("in groups, all at once", at_one.in_groups),
            ("alone, under load", at_one.under_load),
        ]
        if len(urls) > 1:
            ways.append((f"in groups over {len(urls)} replicas", Asking(several, groups).in_groups))
        task = shown.add_task("ways", total=1 + len(ways))
        first = await at_one.alone()
        shown.advance(task)
        compared = []
        for name, ask in ways:
            compared.append(compare(name, first, await ask()))
            shown.advance(task)
        return compared


def main(
    edits: Annotated[int, typer.Option(min=2, help="Edits, of four candidates each.")] = 24,
    dtypes: Annotated[str, typer.Option(help="Types to serve in, separated by commas.")] = "float32,bfloat16",
    replicas: Annotated[int, typer.Option(min=1, help="Services with the same checkpoint.")] = 2,
    out: Out = None,
) -> None:
    """See the module."""
    end_on_sigterm()
    say_machine()
    groups = make_groups(edits, SIZE, seed=WORLD)
    found: dict[str, list[Compared]] = {}
    for dtype in dtypes.split(","):
        if dtype == "bfloat16" and not has_bfloat16(torch.cpu.get_capabilities()):
            console.print("bfloat16: not measured, this CPU does not multiply in it")
            continue
        with contextlib.ExitStack() as services, Progress(console=progress) as shown:
            running: list[ServerProcess] = [
                services.enter_context(reward_server(BUNDLED_MODEL, dtype=dtype, **SERVED))
                for _ in range(replicas)
            ]
            found[dtype] = asyncio.run(ask_all([server.url for server in running], groups, shown))
    table = Table(
        "type", "beside the first", "candidates", "to the bit", "other texts", "verdicts turned", "largest"
    )
    for dtype, compared in found.items():
        for one in compared:
            turned = f"{one.turned_verdicts} of {one.verdicts}"
            bits, gap = str(one.equal_to_the_bit), f"{one.largest_difference:.1e}"
            table.add_row(dtype, one.way, str(one.candidates), bits, str(one.other_texts), turned, gap)
    console.print(table)
    bars = []
    for bar, values in (
        (FLIPS_BAR, [one.turned_verdicts + one.lost for one in found.get("float32", [])]),
        (GAP_BAR, [one.largest_difference for one in found.get("float32", [])]),
    ):
        if values:
            bar.judge(max(values))
            bars.append(bar_met(bar, max(values)))
    figures = {dtype: [asdict(one) for one in compared] for dtype, compared in found.items()}
    write_figures(out, {"edits": edits, "candidates_of_each": SIZE, "types": figures, "bars": bars})


if __name__ == "__main__":
    typer.run(main)
