"""What does it save to keep a group on one copy of the model, where there are several?

    .venv/bin/python benchmarks/data_parallel.py [--copies 2] [--groups 8] [--size 12]

The same groups twice through one vLLM with `data_parallel_size`: each on one rank, as the service sends them,
and every prompt to the rank with the least to do, as vLLM does by itself. Each copy has a prefix cache of
its own, so a group that is spread computes its source and its text once a copy. Counted are the prompt tokens
that came from no cache; caches are emptied between the two.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rig.calls import Group, make_groups
from rig.processes import end_on_sigterm
from rig.report import console, progress, say_machine

from edit_rrm.checkpoint import read_card
from edit_rrm.images import EditImage
from edit_rrm.judges import get_profile
from edit_rrm.prompts import ImageSlot
from edit_rrm.wire import Sampling
from edit_rrm_server.engines.vllm.engine import VllmEngine
from edit_rrm_server.engines.vllm.start import engine_config, prepare_environment
from edit_rrm_server.scoring.sampling import sampling_of
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings

TOKENS = 8  # of a text: what is compared is the prompts


async def prefilled(
    engine: VllmEngine, groups: list[Group], model: Path, *, together: bool
) -> tuple[int, int]:
    """All prompt tokens, and those that came from no cache. `together` keeps a group on one rank."""
    card = read_card(model)
    profile = get_profile(card.profile)
    sampling = sampling_of(card.sampling, Sampling(max_tokens=TOKENS))

    async def ask(number: int, group: Group, candidate: Any) -> tuple[int, int]:
        images = {
            ImageSlot.SOURCE: EditImage.from_pil(group.source, card.scale),
            ImageSlot.CANDIDATE: EditImage.from_pil(candidate, card.scale),
        }
        prompt = profile.verify(group.instruction, group.principles)
        name = f"group {number}" if together else ""
        done = await engine.generate(prompt, images, sampling, group=name)
        return done.prompt_tokens, done.prompt_tokens - done.cached_prompt_tokens

    found = await asyncio.gather(
        *(ask(number, group, one) for number, group in enumerate(groups) for one in group.candidates)
    )
    return sum(tokens for tokens, _ in found), sum(new for _, new in found)


async def compare(copies: int, groups: int, size: int, model: Path) -> dict[str, tuple[int, int]]:
    """Prompt tokens and those computed, by way."""
    from vllm.v1.engine.async_llm import AsyncLLM

    settings = ServerSettings(model=model, data_parallel_size=copies, kv_cache_gib=0.3)
    prepare_environment(settings)
    progress.print(f"starting {copies} copies")
    llm = await asyncio.to_thread(lambda: AsyncLLM.from_vllm_config(engine_config(settings)))
    engine, empty_cache = VllmEngine(llm), llm.reset_prefix_cache
    del llm  # its finalizer must not run in an interpreter that is half gone
    try:
        work = make_groups(groups, size)
        found = {}
        for way, together in (("a group on one copy", True), ("each prompt where least is done", False)):
            await empty_cache()
            progress.print(way)
            found[way] = await prefilled(engine, work, model, together=together)
        return found
    finally:
        del empty_cache
        await engine.stop()


def main(
    copies: Annotated[int, typer.Option(min=2, help="Copies of the model.")] = 2,
    groups: Annotated[int, typer.Option(min=1, help="Groups, all at once.")] = 8,
    size: Annotated[int, typer.Option(min=2, help="Candidates of a group.")] = 12,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints the prompt tokens that are computed with groups kept together and with groups spread."""
    end_on_sigterm()
    found = asyncio.run(compare(copies, groups, size, model))
    table = Table(
        "", "prompt tokens", "computed", "share", title=f"{groups} groups of {size}, {copies} copies"
    )
    for way, (tokens, computed) in found.items():
        table.add_row(way, f"{tokens:,}", f"{computed:,}", f"{computed / tokens:.3f}")
    console.print(table)
    (_, kept), (_, spread) = found.values()
    console.print(f"spread against together: {spread / kept:.2f} times the tokens")
    say_machine()


if __name__ == "__main__":
    typer.run(main)
