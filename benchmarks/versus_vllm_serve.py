"""Is a group call faster than what one would do without us: parallel chat completions to `vllm serve`?

    .venv/bin/python benchmarks/versus_vllm_serve.py [--groups 12] [--long] [--picture 1024 --tokens 32]
                                                     [--at-once 8]

A group of 24 as one multipart call to us, against 24 chat completions at once with base64 images, in two
message orders: the paper's (both images, then the text: what people send) and our own (source, text,
candidate). Bars: at least 1.5 times faster than the first, at least 1.1 times than the second.

--long gives every instruction so many words that the prompt's text has 800 tokens: that is what a zero-shot
prompt of a larger model has, the bundled model's own has about 200. The bundled model was not trained on
such and its traces do not parse: they cost what they cost, on both sides.

--picture takes photographs of that size, as people send them; the checkpoint's processor brings them to its
own size on both sides. --tokens ends every text there: an engine that writes little, as a fast one writes
quickly, leaves more to the front ends (our calls then end in `trace_truncated`, which costs what a score
costs). --at-once sends so many groups together.

Equal on both sides: checkpoint, dtype, block size, KV cache, sequences and tokens a step, OpenMP threads,
image cache, eager mode, greedy sampling with its seed, the log-probabilities of the verdict tokens, the
text of the prompt. The worker runs inside the engine process on both sides (--own-worker gives `vllm
serve` vLLM's default, a process of its own). The paper's order writes exactly as many tokens for each
candidate as ours does: the checkpoint never saw that order, and would babble. Not equal: they parse no
trace, check no guard and compute no reward; we do. Only one side's processes run at a time, the others
are stopped; groups are new to us, and vLLM's caches are emptied before each of its runs.
"""

import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Table
from rig.calls import Body, Group, base64_png, make_groups, multipart
from rig.engines import (
    Judge,
    Layout,
    as_served,
    command_line,
    images_first,
    lengthened,
    same_arguments,
    settings_for,
)
from rig.pictures import photographed
from rig.processes import SETTLE_S, ServerProcess, end_on_sigterm, reward_server, vllm_server
from rig.report import Bar, console, progress, say_machine

from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.settings.server import BUNDLED_MODEL

US, PAPER_ORDER, OUR_ORDER = "one call to us", "vllm serve, images then text", "vllm serve, our order"
BARS = {
    PAPER_ORDER: Bar("times faster than vllm serve with images, then text", 1.5, at_least=True),
    OUR_ORDER: Bar("times faster than vllm serve with our own order", 1.1, at_least=True),
}
NAME = "judge"


@dataclass(frozen=True)
class Run:
    """One side's work on one group."""

    took_s: float
    sent_bytes: int
    prompt_tokens: int
    cached_tokens: int
    lengths: tuple[int, ...]  # output tokens by candidate; of our call only their sum


def completions(
    judge: Judge, group: Group, layout: Layout, lengths: Sequence[int] | None, tokens: int | None
) -> list[Body]:
    """One chat completion a candidate; `lengths` fixes the output tokens of each, `tokens` bounds them."""
    prompt = judge.prompt(group, layout)
    source = base64_png(group.source)
    bodies = []
    for number, candidate in enumerate(group.candidates):
        images = {ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: base64_png(candidate)}
        request = {
            "model": NAME,
            "messages": messages(prompt, images),
            "temperature": judge.draw.temperature,
            "top_p": judge.draw.top_p,
            "seed": judge.draw.seed,
            "max_tokens": (tokens or judge.draw.max_tokens) if lengths is None else lengths[number],
            "ignore_eos": lengths is not None,
            "logprobs": True,
            "logprob_token_ids": judge.watched_ids,
        }
        bodies.append(Body(json.dumps(request).encode(), "application/json"))
    return bodies


def messages(prompt: Prompt, images: dict[ImageSlot, str]) -> list[dict[str, Any]]:
    """The prompt as the OpenAI API takes it, each image a data URL."""
    return [
        {
            "role": message.role,
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{images[part]}"}}
                if isinstance(part, ImageSlot)
                else {"type": "text", "text": part}
                for part in message.parts
            ],
        }
        for message in prompt.messages
    ]


async def ask_vllm(url: str, bodies: Sequence[Body]) -> Run:
    """All completions at once, every cache empty."""
    async with _client(url, len(bodies)) as http:
        emptied = await http.post("/reset_prefix_cache")
        if not emptied.json()["success"]:
            raise RuntimeError("vllm serve did not empty its prefix cache")
        for cache in ("mm", "encoder"):
            (await http.post(f"/reset_{cache}_cache")).raise_for_status()
    async with _client(url, len(bodies)) as http:
        started = time.perf_counter()
        answers = await asyncio.gather(*(body.send(http, "/v1/chat/completions") for body in bodies))
        took_s = time.perf_counter() - started
    usage = [_checked(answer)["usage"] for answer in answers]
    return Run(
        took_s,
        sum(len(body.content) for body in bodies),
        sum(u["prompt_tokens"] for u in usage),
        sum((u.get("prompt_tokens_details") or {}).get("cached_tokens") or 0 for u in usage),
        tuple(u["completion_tokens"] for u in usage),
    )


async def ask_us(url: str, bodies: Sequence[Body]) -> Run:
    """All calls at once. One none of whose traces parses took its time too, but tells no tokens (0 here)."""
    async with _client(url, len(bodies)) as http:
        started = time.perf_counter()
        answers = await asyncio.gather(*(body.send(http) for body in bodies))
        took_s = time.perf_counter() - started
    told = [answer for answer in answers if not _without_trace(answer)]
    usage = [_checked(answer)["usage"] for answer in told]
    return Run(
        took_s,
        sum(len(body.content) for body in bodies),
        sum(u["prompt_tokens"] for u in usage) if len(told) == len(answers) else 0,
        sum(u["cached_prompt_tokens"] for u in usage),
        tuple(u["completion_tokens"] for u in usage),
    )


def _without_trace(answer: httpx.Response) -> bool:
    return answer.status_code == 502 and answer.json()["code"] in ("trace_unparseable", "trace_truncated")


def _client(url: str, connections: int) -> httpx.AsyncClient:
    """A new client each time: a connection kept over a stop may be closed the moment its server wakes."""
    return httpx.AsyncClient(base_url=url, timeout=600.0, limits=httpx.Limits(max_connections=connections))


def _checked(answer: httpx.Response) -> Any:
    if answer.status_code != 200:
        raise RuntimeError(f"no answer: {answer.status_code} {answer.text[:500]}")
    return answer.json()


def compare(
    ours: ServerProcess,
    theirs: ServerProcess,
    judge: Judge,
    batches: Sequence[Sequence[Group]],
    tokens: int | None,
    guards: str,
) -> list[dict[str, Run]]:
    """Every batch of groups through the three sides, in each of their orders in turn."""
    results = []
    orders = itertools.cycle(itertools.permutations((US, PAPER_ORDER, OUR_ORDER)))
    fields: dict[str, Any] = {"guards": guards}
    if tokens is not None:
        fields["sampling"] = {"max_tokens": tokens}
    for number, (batch, order) in enumerate(zip(batches, orders, strict=False), start=1):
        progress.print(f"batch {number} of {len(batches)}")
        ours_bodies = [multipart(group, **fields) for group in batch]
        own_order = [one for group in batch for one in completions(judge, group, as_served, None, tokens)]
        with ours.stopped():
            lengths = iter(asyncio.run(ask_vllm(theirs.url, own_order)).lengths)
        paper_order = [
            body
            for group in batch
            for body in completions(
                judge, group, images_first, list(itertools.islice(lengths, len(group.candidates))), tokens
            )
        ]
        runs = {}
        for side in order:
            with (theirs if side == US else ours).stopped():
                time.sleep(SETTLE_S)
                if side == US:
                    runs[side] = asyncio.run(ask_us(ours.url, ours_bodies))
                else:
                    bodies = own_order if side == OUR_ORDER else paper_order
                    runs[side] = asyncio.run(ask_vllm(theirs.url, bodies))
        results.append(runs)
    return results


def show(results: Sequence[dict[str, Run]], size: int, at_once: int) -> None:
    """The table and the bars."""
    table = Table(
        "", "median s", "candidates/s", "bytes sent", "prompt tokens", "cached", "output tokens",
        title=f"groups of {size}, {at_once} at once, {len(results)} times; bytes and tokens are sums",
    )  # fmt: skip
    for side in (US, OUR_ORDER, PAPER_ORDER):
        runs = [runs[side] for runs in results]
        median_s = statistics.median(run.took_s for run in runs)
        sums = [
            sum(getattr(run, name) for run in runs)
            for name in ("sent_bytes", "prompt_tokens", "cached_tokens")
        ]
        written = sum(sum(run.lengths) for run in runs)
        table.add_row(
            side, f"{median_s:.3f}", f"{at_once * size / median_s:.1f}", *map(str, sums), str(written)
        )
    console.print(table)
    told = [runs for runs in results if runs[US].prompt_tokens]
    same = all(runs[US].prompt_tokens == runs[OUR_ORDER].prompt_tokens for runs in told)
    console.print(f"prompts of one call to us and of our order through vllm serve have equal lengths: {same}")
    console.print(f"calls to us with no trace that parses, tokens unknown: {len(results) - len(told)}")
    for side, bar in BARS.items():
        ratios = [runs[side].took_s / runs[US].took_s for runs in results]
        console.print(f"ratios: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
        bar.judge(statistics.median(ratios))


def main(
    groups: Annotated[
        int, typer.Option(help="Groups, one at a time; six use every order of the sides once.")
    ] = 12,
    size: Annotated[int, typer.Option(help="Candidates of a group, at most 64.")] = 24,
    own_worker: Annotated[
        bool, typer.Option("--own-worker", help="Leave vllm serve its worker process, as it comes.")
    ] = False,
    long: Annotated[
        bool, typer.Option("--long", help="Prompts of 800 tokens and more, as larger models are asked.")
    ] = False,
    picture: Annotated[int | None, typer.Option(help="Photographs with sides of so many pixels.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Most tokens of a text.")] = None,
    guards: Annotated[str, typer.Option(help="off leaves out what vllm serve does not do.")] = "report",
    at_once: Annotated[int, typer.Option(min=1, help="Groups sent together.")] = 1,
    model: Annotated[
        Path, typer.Option(help="Checkpoint; its tokenizer must hold the chat template.")
    ] = BUNDLED_MODEL,
) -> None:
    """Prints seconds and bytes of a group on both servers. Bars: 1.5 and 1.1 times faster than vllm serve."""
    end_on_sigterm()
    arguments = same_arguments(settings_for(model))
    if own_worker:
        del arguments["distributed_executor_backend"]
    extra = ["--served-model-name", NAME, "--chat-template-content-format", "openai"]
    extra += ["--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    from transformers import AutoTokenizer

    judge = Judge(model, AutoTokenizer.from_pretrained(model))
    progress.print(f"rendering {groups * at_once + 1} groups of {size}")
    work = make_groups(groups * at_once + 1, size)
    if picture is not None:
        work = [photographed(group, picture, number) for number, group in enumerate(work)]
    *work, warm_up = work
    if long:
        work = [lengthened(group, judge) for group in work]
    batches = [work[start : start + at_once] for start in range(0, len(work), at_once)]
    progress.print("starting both servers, one after the other")
    with (
        reward_server(model, retries=0, score_cache_mib=0) as ours,
        vllm_server(command_line(arguments) + extra, {"VLLM_SERVER_DEV_MODE": "1"}) as theirs,
    ):
        progress.print("warming up")
        compare(ours, theirs, judge, [[warm_up]], tokens, guards)
        results = compare(ours, theirs, judge, batches, tokens, guards)
    show(results, size, at_once)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
