"""One short verification after loading: the first one is several times slower, and should be no caller's."""

from PIL import Image

from edit_rrm.checkpoint import RRMCard
from edit_rrm.images import EditImage
from edit_rrm.judges import get_profile
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm.verdict_probability import VERDICT_TEXTS
from edit_rrm_server.engines.engine import Engine, SamplingSettings

_SIDE_PIXELS = 64
_TOKENS = 2


async def warm_up(engine: Engine, card: RRMCard) -> None:
    """Asks `engine` as the checkpoint with that card is asked. Raises what `Engine.generate` does."""
    grey = EditImage.from_pil(Image.new("RGB", (_SIDE_PIXELS, _SIDE_PIXELS), (128, 128, 128)))
    prompt = get_profile(card.profile).verify("nothing", numbered([("keep", "is it grey?")]))
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=_TOKENS)
    await engine.generate(prompt, dict.fromkeys(ImageSlot, grey), sampling, VERDICT_TEXTS)
