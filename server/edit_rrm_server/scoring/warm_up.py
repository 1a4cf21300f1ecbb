"""Short verifications after loading: the first one is several times slower, and should be no caller's.

They are a group as callers send it: one source, one instruction, and a candidate each, so that an engine
that is looked at meanwhile (engines/vllm/probe.py) shows what it makes of a group's prompts.
"""

from PIL import Image

from edit_rrm.images import EditImage
from edit_rrm.judges.judge import Judge
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.engines.engine import PromptRunner, SamplingSettings

_SOURCE_PIXELS = (64, 64)
_CANDIDATE_PIXELS = (128, 64)
_SOURCE_GREY = 16
_CANDIDATE_GREYS = (200, 210)
_TOKENS = 2


async def warm_up(engine: PromptRunner, judge: Judge) -> None:
    """Asks `engine` all that the judge asks, about two candidates. Raises what `Engine.generate` does."""
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=_TOKENS)
    source = _plain(_SOURCE_PIXELS, _SOURCE_GREY)
    for ask in judge.asks("nothing", numbered([("keep", "is it grey?")])):
        for grey in _CANDIDATE_GREYS:
            images = {ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: _plain(_CANDIDATE_PIXELS, grey)}
            await engine.generate(ask.prompt, images, sampling, ask.watched)


def _plain(pixels: tuple[int, int], grey: int) -> EditImage:
    return EditImage.from_pil(Image.new("RGB", pixels, (grey, grey, grey)))
