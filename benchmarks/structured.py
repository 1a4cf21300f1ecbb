"""How many answers of a model that knows nothing are read, with and without a grammar.

    python benchmarks/structured.py [--answers 1000]

A checkpoint of random weights, asked by `three_scores` at temperature 1 with a seed an answer. What it writes
is noise, so each answer that is read is the grammar's work. Without the grammar the same are asked again.
"""

import asyncio
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm.errors import TraceError
from edit_rrm.images import EditImage
from edit_rrm.judges.judge import Judge, Written
from edit_rrm.prompts import ImageSlot
from edit_rrm.wire import Sampling
from edit_rrm_server.engines.engine import Engine, SamplingSettings
from edit_rrm_server.engines.vllm.start import end_forkserver, prepare_environment
from edit_rrm_server.scoring.sampling import ask_sampling
from edit_rrm_server.settings.server import ServerSettings


def untrained(directory: Path) -> Path:
    """Writes the small size of the miniature with random weights, and no card, to `directory`."""
    import torch

    from edit_rrm_shapes.tiny_rrm.model import build_config, new_model, save_servable
    from edit_rrm_shapes.tiny_rrm.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(corpus_size=600)
    save_servable(new_model(tokenizer, 0, build_config(tokenizer, "s")), tokenizer, directory, torch.float32)
    return directory


async def read_answers(engine: Engine, judge: Judge, answers: int, structured: bool) -> Counter[str]:
    """How many answers were read, were no answer, were cut off."""
    (ask,) = judge.asks("make the circle blue", ())
    sampling = ask_sampling(
        ask.kind, Sampling(temperature=1.0), judge.sampling, SamplingDefaults(), structured=structured
    )
    source, candidate = (
        EditImage.from_pil(Image.new("RGB", (64, 64), colour)) for colour in ((200, 30, 30), (30, 30, 200))
    )
    images = {ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: candidate}

    async def one(settings: SamplingSettings) -> str:
        completion = await engine.generate(ask.prompt, images, settings)
        if completion.finish_reason != "stop":
            return "cut off"
        try:
            judge.read(ask, Written(completion.text, completion.tokens, False), ())
        except TraceError:
            return "no answer"
        return "read"

    ends = await asyncio.gather(*(one(replace(sampling, seed=seed)) for seed in range(answers)))
    return Counter(ends)


async def measure(checkpoint: Path, answers: int) -> dict[str, Counter[str]]:
    """Both ways on one engine."""
    from edit_rrm_server.engines.vllm.loading import load_vllm_model
    from edit_rrm_server.scoring.warm_up import warm_up

    settings = ServerSettings(model=checkpoint, judge="three_scores")
    model = await load_vllm_model(settings, Console(stderr=True).print, warm_up)
    try:
        return {
            name: await read_answers(model.engine, model.judge, answers, structured)
            for name, structured in (("grammar", True), ("none", False))
        }
    finally:
        await model.engine.stop()


def main(answers: Annotated[int, typer.Option(help="Answers of each kind.")] = 1000) -> None:
    """Prints the table."""
    prepare_environment(ServerSettings())
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = untrained(Path(folder))
        try:
            found = asyncio.run(measure(checkpoint, answers))
        finally:
            end_forkserver()
    table = Table("grammar", "read", "no answer", "cut off", title=f"{answers} answers of random weights")
    for name, ends in found.items():
        table.add_row(name, *(str(ends[end]) for end in ("read", "no answer", "cut off")))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
