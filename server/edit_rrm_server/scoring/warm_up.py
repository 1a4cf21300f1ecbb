"""Short verifications after loading: the first one is several times slower, and should be no caller's.

They are one candidate of a group and then two of another, as callers send them, so that an engine that is
looked at meanwhile (engines/vllm/probe.py) shows what it makes of a group's prompts, and what those share.
"""

from PIL import Image

from edit_rrm.images import EditImage
from edit_rrm.judges.judge import Judge
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.engines.engine import PromptRunner, SamplingSettings

_SOURCE_PIXELS = (64, 64)
_CANDIDATE_PIXELS = (128, 64)
# Instruction, grey of the source, grey of the candidate; the candidate is the lighter one.
_VERIFICATIONS = (("something else", 8, 190), ("nothing", 16, 200), ("nothing", 16, 210))
_TOKENS = 2


async def warm_up(engine: PromptRunner, judge: Judge, adapter: str = "") -> None:
    """Asks `engine` all that the judge asks, about each of `_VERIFICATIONS`. Raises what `generate` does."""
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=_TOKENS)
    for instruction, source, candidate in _VERIFICATIONS:
        images = {
            ImageSlot.SOURCE: _plain(_SOURCE_PIXELS, source),
            ImageSlot.CANDIDATE: _plain(_CANDIDATE_PIXELS, candidate),
        }
        for ask in judge.asks(instruction, numbered([("keep", "is it grey?")])):
            await engine.generate(ask.prompt, images, sampling, ask.watched, adapter=adapter)


def _plain(pixels: tuple[int, int], grey: int) -> EditImage:
    return EditImage.from_pil(Image.new("RGB", pixels, (grey, grey, grey)))
