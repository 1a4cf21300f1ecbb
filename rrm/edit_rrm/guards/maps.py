"""Where a candidate changed, as numbers and as a picture for people."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from edit_rrm.guards.alignment import Alignment

_DIMMED = 0.55  # of the candidate's brightness, under the colours
_STRONG = 0.35  # of full scale: a change that is drawn in the last colour
_COLOURS = np.array([[60, 90, 220], [250, 190, 40], [235, 40, 40]], dtype=np.float32)  # faint to strong
_COVER = 0.85  # of the picture by a strong change
_FAINT = 0.35  # of that by the faintest


@dataclass(frozen=True)
class ChangeMap:
    """The change of every patch, 0 to 1 as `no_edit` measures it, after a small movement was undone."""

    values: npt.NDArray[np.float32]  # [height, width] at the guards' working size
    alignment: Alignment | None
    threshold: float
    """What `no_edit` takes for no change; it is where colours begin."""

    @property
    def share(self) -> float:
        """Share of the picture that changed, 0 to 1."""
        return float((self.values >= self.threshold).mean())

    def overlay(self, size: tuple[int, int]) -> Image.Image:
        """What changed in blue, amber and red, and nothing elsewhere: RGBA of that width and height."""
        values = np.asarray(Image.fromarray(self.values).resize(size, Image.Resampling.BILINEAR))
        strength = np.clip((values - self.threshold) / (_STRONG - self.threshold), 0, 1)
        place = strength * (len(_COLOURS) - 1)
        low = np.minimum(place.astype(np.int64), len(_COLOURS) - 2)
        part = (place - low)[..., None]
        colours = _COLOURS[low] * (1 - part) + _COLOURS[low + 1] * part
        cover = np.where(values >= self.threshold, _FAINT + (1 - _FAINT) * strength, 0.0) * _COVER * 255
        pixels = np.concatenate([colours, cover[..., None]], axis=-1)
        return Image.fromarray(np.rint(pixels).astype(np.uint8))

    def drawn_on(self, candidate: Image.Image, side: int = 512) -> Image.Image:
        """The candidate in grey, at most `side` pixels long, under its overlay."""
        scale = min(1.0, side / max(candidate.size))
        size = (max(1, round(candidate.width * scale)), max(1, round(candidate.height * scale)))
        grey = candidate.convert("L").resize(size).point(lambda value: value * _DIMMED)
        drawn = grey.convert("RGBA")
        drawn.alpha_composite(self.overlay(size))
        return drawn.convert("RGB")
