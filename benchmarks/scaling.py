"""What does a reward cost, and how does that grow with candidates, samples, image size and trace length?

    .venv/bin/python benchmarks/scaling.py [--repetitions 3]

The service's prompts through one offline vLLM with its settings, caches emptied before every run. One
thing varies at a time; the others stay at 16 candidates, one sample, 96-pixel images and traces of
exactly 64 tokens. On a CPU seconds are those of the engine's one thread, which other programs disturb
little; on a GPU they are the clock's. No bar: the last lines fit the cost formula of docs/scaling.md.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table
from rig.calls import Group, make_groups
from rig.engines import Judge, offline_llm, settings_for
from rig.processes import end_on_sigterm
from rig.report import console, progress, say_machine

from edit_rrm_server.engines.vllm.start import is_cpu_build
from edit_rrm_server.settings.server import BUNDLED_MODEL

_CLOCK = time.process_time if is_cpu_build() else time.perf_counter
CANDIDATES, SAMPLES, SIDE_PIXELS, TRACE_TOKENS = 16, 1, 96, 64


@dataclass(frozen=True)
class Call:
    """One group call: what is asked of the engine."""

    varied: str
    candidates: int = CANDIDATES
    samples: int = SAMPLES
    side_pixels: int = SIDE_PIXELS
    trace_tokens: int = TRACE_TOKENS

    @property
    def rewards(self) -> int:
        """Samples of one candidate are averaged into one reward."""
        return self.candidates


@dataclass(frozen=True)
class Cost:
    """What a call took. Prompt tokens that were cached cost nothing to speak of and are left out."""

    took_s: float
    prefilled: int  # prompt tokens computed, those of images included
    written: int  # tokens of traces


BASE = Call("")
SWEEPS = (
    *(replace(BASE, varied="candidates", candidates=n) for n in (1, 4, 16, 64)),
    *(replace(BASE, varied="samples", samples=n) for n in (1, 2, 4, 8)),
    *(replace(BASE, varied="image side, pixels", side_pixels=n) for n in (96, 192, 288, 384)),
    *(replace(BASE, varied="trace tokens", trace_tokens=n) for n in (16, 64, 128, 256)),
)


def resized(group: Group, call: Call) -> Group:
    """The group with as many candidates as the call, at its image size."""
    size = (call.side_pixels, call.side_pixels)
    pictures = tuple(picture.resize(size) for picture in group.candidates[: call.candidates])
    return replace(group, source=group.source.resize(size), candidates=pictures)


def run(llm: Any, judge: Judge, group: Group, call: Call) -> Cost:
    """The call with every cache empty."""
    sampling = judge.sampling(exactly=call.trace_tokens)
    if call.samples > 1:
        # Without a seed, unlike the service's: vLLM on CPUs dies of a seeded prompt that takes two steps.
        sampling.temperature, sampling.seed = 0.7, None
    # The bundled model's processor would bring every image to its own size.
    size = {"shortest_edge": call.side_pixels**2, "longest_edge": call.side_pixels**2}
    prompts = [
        {**prompt, "mm_processor_kwargs": {"size": size}}
        for prompt in judge.prompts(resized(group, call))
        for _ in range(call.samples)
    ]
    llm.reset_prefix_cache()
    llm.llm_engine.reset_encoder_cache()
    llm.reset_mm_cache()
    started = _CLOCK()
    outputs = llm.generate(prompts, sampling, use_tqdm=False)
    took_s = _CLOCK() - started
    prompt_tokens = sum(len(output.prompt_token_ids) for output in outputs)
    cached = sum(output.num_cached_tokens or 0 for output in outputs)
    written = sum(len(output.outputs[0].token_ids) for output in outputs)
    return Cost(took_s, prompt_tokens - cached, written)


def fit(costs: Sequence[Cost]) -> tuple[float, float, float]:
    """Seconds a call, a prefilled token and a written token, by least squares of the relative errors."""
    took_s = np.array([cost.took_s for cost in costs])
    terms = np.array([[1.0, cost.prefilled, cost.written] for cost in costs])
    (call_s, prefilled_s, written_s), *_ = np.linalg.lstsq(
        terms / took_s[:, None], np.ones_like(took_s), rcond=None
    )
    return float(call_s), float(prefilled_s), float(written_s)


def main(
    repetitions: Annotated[int, typer.Option(help="Runs of each call; the median counts.")] = 3,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints seconds per 1,000 rewards for each sweep, and the fitted cost of calls and tokens."""
    end_on_sigterm()
    settings = settings_for(model)
    largest = max(call.candidates for call in SWEEPS)
    progress.print(f"rendering {repetitions + 1} groups of {largest}")
    *groups, warm_up = make_groups(repetitions + 1, largest)
    table = Table("varied", "value", "s a call", "s per 1,000 rewards", "prefilled", "written")
    medians = []
    with offline_llm(settings, own_process=False) as llm:
        judge = Judge(model, llm.get_tokenizer())
        run(llm, judge, warm_up, replace(BASE, candidates=largest))
        for call in SWEEPS:
            progress.print(f"{call.varied}: {_value(call)}")
            costs = [run(llm, judge, group, call) for group in groups]
            median_s = statistics.median(cost.took_s for cost in costs)
            prefilled = round(statistics.mean(cost.prefilled for cost in costs))
            medians.append(Cost(median_s, prefilled, costs[0].written))
            table.add_row(
                call.varied,
                str(_value(call)),
                f"{median_s:.2f}",
                f"{1000 * median_s / call.rewards:.0f}",
                str(prefilled),
                str(costs[0].written),
            )
    console.print(table)
    call_s, prefilled_s, written_s = fit(medians)
    off = [
        abs(call_s + prefilled_s * cost.prefilled + written_s * cost.written - cost.took_s) / cost.took_s
        for cost in medians
    ]
    console.print(
        f"fit: {call_s:.2f} s a call + {1000 * prefilled_s:.2f} ms a prefilled token "
        f"+ {1000 * written_s:.2f} ms a written token; off by {statistics.median(off):.0%} in the median, "
        f"{max(off):.0%} at worst"
    )
    say_machine()


def _value(call: Call) -> int:
    return {
        "candidates": call.candidates,
        "samples": call.samples,
        "image side, pixels": call.side_pixels,
        "trace tokens": call.trace_tokens,
    }[call.varied]


if __name__ == "__main__":
    typer.run(main)
