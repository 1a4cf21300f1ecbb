"""One short verification after loading: the first one is several times slower, and should be no caller's."""

from PIL import Image

from edit_rrm.images import EditImage
from edit_rrm.judges.judge import Judge
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.engines.engine import Engine, SamplingSettings

_SIDE_PIXELS = 64
_TOKENS = 2


async def warm_up(engine: Engine, judge: Judge) -> None:
    """Asks `engine` every kind of ask of the judge. Raises what `Engine.generate` does."""
    grey = EditImage.from_pil(Image.new("RGB", (_SIDE_PIXELS, _SIDE_PIXELS), (128, 128, 128)))
    images = dict.fromkeys(ImageSlot, grey)
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=_TOKENS)
    for ask in judge.asks("nothing", numbered([("keep", "is it grey?")]), sources=1):
        await engine.generate(ask.prompt, images, sampling, ask.watched)
