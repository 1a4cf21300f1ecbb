"""Does any text or token make a judge's reader fail, or give a number out of range?

    .venv/bin/python benchmarks/fuzz_judges.py [--texts 200000] [--seed 1] [--out FILE]

Texts that no model should write, from a seed (tests/rrm/hostile_texts.py), read by every judge in turn: ours,
of files, imported from other projects' prompts; every tenth by the readers of principles. No model and no
server. Bar: no text ends in anything but a sample in range or an error that readers may raise. The texts that
did are printed.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.progress import track
from rich.table import Table
from rig.figures import Out, bar_met, write_figures
from rig.report import Bar, console, progress, say_machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "rrm"))

from hostile_texts import QUESTIONS, every_judge, hostile_text, hostile_tokens, out_of_range

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.judges.judge import Judge, Written
from edit_rrm.judges.trained import MAX_PRINCIPLES

FAULTS_BAR = Bar("texts that a reader failed at", 0, at_least=False)
SHOWN_FAULTS = 20
PRINCIPLES_EVERY = 10
DECOMPOSING = ("trained", "zero_shot")
AGGREGATORS = get_args(AggregatorName)


def judged(judge: Judge, draw: random.Random) -> tuple[str, list[str]]:
    """One candidate's answers: what came of them, "a sample" or an error's name, and what is wrong."""
    principles = QUESTIONS if judge.needs_principles else ()
    readings = []
    for ask in judge.asks("make it blue", principles, 1):
        text = hostile_text(draw)
        written = Written(text, hostile_tokens(draw, text), draw.choice([None, True, False]))
        try:
            readings.append(judge.read(ask, written, principles))
        except TraceError as error:
            return type(error).__name__, []
        except Exception as error:  # what is looked for
            return "a fault", [f"{type(error).__name__}: {error}: {text!r}"]
    try:
        return "a sample", out_of_range(judge.judgement(readings, principles, draw.choice(AGGREGATORS)))
    except TraceError as error:
        return type(error).__name__, []
    except Exception as error:
        return "a fault", [f"{type(error).__name__}: {error}: {[reading.text for reading in readings]!r}"]


def decomposed(judge: Judge, draw: random.Random) -> tuple[str, list[str]]:
    """The same of an answer to a decomposition."""
    text = hostile_text(draw)
    try:
        found = judge.decomposition.parse_principles(
            text, opened=draw.choice([None, True, False]), whole=draw.random() < 0.5
        )
    except DecompositionError as error:
        return type(error).__name__, []
    except Exception as error:
        return "a fault", [f"{type(error).__name__}: {error}: {text!r}"]
    ids = {principle.id for principle in found}
    fits = 1 <= len(found) <= MAX_PRINCIPLES and len(ids) == len(found)
    return "principles", [] if fits else [f"{len(found)} principles, {len(ids)} ids: {text!r}"]


def main(
    texts: Annotated[int, typer.Option(min=1, help="Candidates whose answers are read.")] = 200_000,
    seed: Annotated[int, typer.Option(help="Of the texts.")] = 1,
    out: Out = None,
) -> None:
    """See the module."""
    say_machine()
    draw = random.Random(seed)
    told: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    longest_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        judges = every_judge(Path(folder))
    names = list(judges)
    for number in track(range(texts), "texts", console=progress):
        name = names[number % len(names)]
        read: Callable[[Judge, random.Random], tuple[str, list[str]]] = judged
        if number % PRINCIPLES_EVERY == 0:
            name, read = DECOMPOSING[number // PRINCIPLES_EVERY % 2], decomposed
        started = time.thread_time()
        word, wrong = read(judges[name], draw)
        longest_s = max(longest_s, time.thread_time() - started)
        told[name if read is judged else f"{name}: principles", word] += 1
        faults += [f"{name}: {one}" for one in wrong]
    table = Table("judge", "told", "answers")
    for (name, word), count in sorted(told.items()):
        table.add_row(name, word, str(count))
    console.print(table)
    for fault in faults[:SHOWN_FAULTS]:
        console.print(fault[:400], markup=False)
    console.print(
        f"{texts} answers of {len(names)} judges; the longest took {1e3 * longest_s:.0f} ms of a core"
    )
    FAULTS_BAR.judge(len(faults))
    write_figures(
        out,
        {
            "answers": texts,
            "judges": len(names),
            "told": [{"judge": name, "told": word, "answers": n} for (name, word), n in sorted(told.items())],
            "longest_ms": round(1e3 * longest_s, 1),
            "faults": faults[:SHOWN_FAULTS],
            "bars": [bar_met(FAULTS_BAR, len(faults))],
        },
    )


if __name__ == "__main__":
    typer.run(main)
