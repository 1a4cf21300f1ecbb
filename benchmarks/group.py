"""What does a group cost when its candidates share their prefix, and what when they do not?

    .venv/bin/python benchmarks/group.py [--groups 4] [--repetitions 3]

Groups of 24 through one offline vLLM with the service's settings, in the service's layout (source,
instruction, principles, candidate) and in the usual one (source, candidate, instruction, principles),
caches emptied before each. Three cases: the bundled model's own prompts with whole traces; prompts of
at least 800 tokens with 8-token traces; the long prompts with whole traces. Whole traces have, in both
layouts, the lengths that the service's layout gives them, found beforehand: the model was trained on
that layout, and elsewhere it babbles. Bars: at most half the prefill tokens for the own prompts, and at
least 3 times faster for long prompts with 8-token traces.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rig.calls import Group, make_groups
from rig.engines import Judge, Layout, as_served, images_first, lengthened, offline_llm, settings_for
from rig.processes import end_on_sigterm
from rig.report import Bar, console, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL

SHORT_TRACE_TOKENS = 8
LAYOUTS: dict[str, Layout] = {"ours": as_served, "candidate before text": images_first}
PREFILL_BAR = Bar("own prompts: prefill tokens, ours / candidate before text", 0.5, at_least=False)
TIME_BAR = Bar("long prompts, 8-token traces: times faster than candidate before text", 3.0, at_least=True)


@dataclass(frozen=True)
class Run:
    """One layout's work on all groups of a case."""

    took_s: float
    prompt_tokens: int
    computed_tokens: int  # prompt tokens that were not found in the prefix cache
    lengths: tuple[int, ...]  # output tokens by candidate


@dataclass(frozen=True)
class Case:
    """Groups with the output tokens asked of each candidate; None: as many as the trace has."""

    name: str
    groups: Sequence[Group]
    trace_tokens: int | None


def run(
    llm: Any, judge: Judge, groups: Sequence[Group], layout: Layout, lengths: Sequence[int] | None
) -> Run:
    """All groups at once, every cache empty; `lengths` fixes the output tokens of each candidate."""
    prompts = [prompt for group in groups for prompt in judge.prompts(group, layout)]
    sampling = (
        [judge.sampling()] * len(prompts)
        if lengths is None
        else [judge.sampling(exactly=length) for length in lengths]
    )
    empty_caches(llm)
    started = time.perf_counter()
    outputs = llm.generate(prompts, sampling, use_tqdm=False)
    took_s = time.perf_counter() - started
    prompt_tokens = sum(len(output.prompt_token_ids) for output in outputs)
    cached_tokens = sum(output.num_cached_tokens or 0 for output in outputs)
    written = tuple(len(output.outputs[0].token_ids) for output in outputs)
    return Run(took_s, prompt_tokens, prompt_tokens - cached_tokens, written)


def empty_caches(llm: Any) -> None:
    """Forgets prefixes, encoded images and preprocessed images."""
    if not llm.reset_prefix_cache():
        raise RuntimeError("vLLM did not empty its prefix cache: a request still holds blocks")
    llm.llm_engine.reset_encoder_cache()
    llm.reset_mm_cache()


def measure(llm: Any, judge: Judge, case: Case, repetitions: int) -> dict[str, list[Run]]:
    """The runs of each layout; who comes first alternates."""
    if case.trace_tokens is None:
        lengths = run(llm, judge, case.groups, as_served, None).lengths
    else:
        lengths = (case.trace_tokens,) * sum(len(group.candidates) for group in case.groups)
    runs: dict[str, list[Run]] = {name: [] for name in LAYOUTS}
    for repetition in range(repetitions):
        progress.print(f"{case.name}: repetition {repetition + 1} of {repetitions}")
        order = list(LAYOUTS.items())
        for name, layout in reversed(order) if repetition % 2 else order:
            runs[name].append(run(llm, judge, case.groups, layout, lengths))
    return runs


def compared(runs: dict[str, list[Run]]) -> tuple[float, float]:
    """Prefill tokens of ours as a share of the other layout's; how many times faster ours is (medians)."""
    ours, other = runs["ours"], runs["candidate before text"]
    prefill = sum(r.computed_tokens for r in ours) / sum(r.computed_tokens for r in other)
    faster = statistics.median(b.took_s / a.took_s for a, b in zip(ours, other, strict=True))
    return prefill, faster


def main(
    groups: Annotated[int, typer.Option(help="Groups of a case, run at once.")] = 4,
    size: Annotated[int, typer.Option(help="Candidates of a group.")] = 24,
    repetitions: Annotated[int, typer.Option(help="Runs of each layout.")] = 3,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints time and prefill of both layouts. Bars: half the prefill; 3 times faster on long prompts."""
    end_on_sigterm()
    settings = settings_for(model)
    progress.print(f"rendering {groups + 1} groups of {size}")
    own, warm_up = make_groups(groups, size), make_groups(1, size, first=groups)
    table = Table(
        "case", "layout", "median s", "prompt tokens", "prefilled", "output tokens",
        "prefill ratio", "times faster",
        title=f"{groups} groups of {size} at once, {repetitions} repetitions",
    )  # fmt: skip
    with offline_llm(settings, own_process=False) as llm:
        tokenizer = llm.get_tokenizer()
        judge = Judge(model, tokenizer)
        long = [lengthened(group, judge) for group in own]
        for layout in LAYOUTS.values():
            run(llm, judge, warm_up, layout, [SHORT_TRACE_TOKENS] * size)
        results = {}
        for case in (
            Case("own prompts, whole traces", own, None),
            Case(f"long prompts, {SHORT_TRACE_TOKENS}-token traces", long, SHORT_TRACE_TOKENS),
            Case("long prompts, whole traces", long, None),
        ):
            runs = measure(llm, judge, case, repetitions)
            results[case.name] = compared(runs)
            for name, done in runs.items():
                ratios = [f"{ratio:.2f}" for ratio in results[case.name]] if name == "ours" else ["", ""]
                last = done[-1]
                counts = [str(last.prompt_tokens), str(last.computed_tokens), str(sum(last.lengths))]
                median_s = statistics.median(r.took_s for r in done)
                table.add_row(case.name, name, f"{median_s:.2f}", *counts, *ratios)
    console.print(table)
    own_case, short_case, _ = results
    PREFILL_BAR.judge(results[own_case][0])
    TIME_BAR.judge(results[short_case][1])
    say_machine()


if __name__ == "__main__":
    typer.run(main)
