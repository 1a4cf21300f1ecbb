"""How much of a picture changed: over patches at a small size, and what stands out at a larger one."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter, ImageStat

Pixels = npt.NDArray[np.uint8]  # [height, width]

# Patches are the smallest that average away noise (brightness: 3 working pixels wide, 4 in a large image),
# halved colour resolution as in JPEG files (6), and what resizing does to texture (8). The weights bring
# each kind of change to the scale of brightness.
_SMALLEST_RADIUS = 1.0
_RADIUS_PER_PIXEL = 1 / 1024
_COLOUR_RADIUS = 2.5
_DETAIL_RADIUS = 3.5
_COLOUR_WEIGHT = 0.8
_MEAN_WEIGHT = 3.0

_OUTSTANDING = 8.0  # times what all but a thousandth of the pixels show; codecs and autoencoders stay below 5
_QUIET = 4.0  # of 255: what counts as shown where nothing is
_BEYOND_EDGES = 12  # of 255, above the source's own contrast at a place: resampling stays within that
_SCATTERED = 0.0005  # share of such pixels that something thin takes; codecs show less than half of it


@dataclass(frozen=True)
class _Patches:
    """The mean of the patch around each pixel."""

    means: Pixels

    @classmethod
    def of(cls, channel: Image.Image, radius: float) -> "_Patches":
        return cls(np.asarray(channel.filter(ImageFilter.BoxBlur(radius))))

    @cached_property
    def bounds(self) -> tuple[Pixels, Pixels]:
        """Minimum and maximum over each patch and those next to it."""
        return _neighbourhood(self.means)

    def gaps(self, other: "_Patches") -> Pixels:
        """How far each patch of one image lies from the range of the patches around it in the other.

        A range instead of the one patch at the same place: resampling moves edges by a part of a pixel.
        """
        gaps = []
        for pixels, (low, high) in ((self.means, other.bounds), (other.means, self.bounds)):
            gaps.append(np.maximum(np.maximum(pixels, high) - high, low - np.minimum(pixels, low)))
        largest: Pixels = np.maximum(*gaps)
        return largest


@dataclass(frozen=True)
class View:
    """What is compared of an image at its working size."""

    brightness: _Patches
    colours: tuple[_Patches, _Patches]  # Cb and Cr
    detail: _Patches
    mean: npt.NDArray[np.float64]  # [channel], 0 to 255

    @classmethod
    def of(cls, image: Image.Image) -> "View":
        """Of an RGB image."""
        grey, *colours = image.convert("YCbCr").split()
        return cls(
            brightness=_Patches.of(grey, _SMALLEST_RADIUS + _RADIUS_PER_PIXEL * max(grey.size)),
            colours=(_Patches.of(colours[0], _COLOUR_RADIUS), _Patches.of(colours[1], _COLOUR_RADIUS)),
            detail=_detail(grey),
            mean=np.asarray(ImageStat.Stat(image).mean),
        )

    def change(self, other: "View") -> float:
        """The largest change that a patch or the whole image shows in brightness, colour or texture, 0 to 1.

        Of full scale: 1 is black to white. A faint change of tone shows in no patch, but in the mean.
        """
        mean = _MEAN_WEIGHT * float(np.abs(self.mean - other.mean).max())
        return min(1.0, max(mean, float(self._gaps(other).max())) / 255)

    def change_map(self, other: "View") -> npt.NDArray[np.float32]:
        """[height, width]: the change of each patch, 0 to 1, as `change` measures it."""
        return np.minimum(self._gaps(other).astype(np.float32) / 255, 1.0)

    def range(self) -> float:
        """The widest range of the patches' brightness or colour, as a share of full scale."""
        return max(float(np.ptp(patches.means)) for patches in (self.brightness, *self.colours)) / 255

    def _gaps(self, other: "View") -> npt.NDArray[np.float32] | Pixels:
        largest = np.maximum(self.brightness.gaps(other.brightness), self.detail.gaps(other.detail))
        for one, another in zip(self.colours, other.colours, strict=True):
            largest = np.maximum(largest, (_COLOUR_WEIGHT * one.gaps(another)).astype(np.float32))
        return largest


@dataclass(frozen=True)
class Closer:
    """Two images compared pixel by pixel, for those whose patches are alike."""

    peak: float
    """The largest difference of a pixel in any colour, 0 to 1 of full scale."""
    stands_out: bool
    """Whether something small or thin was drawn: no encoder, resizing or autoencoder does that.

    A peak far above what all the rest shows (a button), or many pixels that differ by more than the source's
    contrast around them (rain).
    """

    @classmethod
    def of(cls, before: Image.Image, after: Image.Image) -> "Closer":
        """Of two RGB images of one size."""
        grey, other = (np.asarray(image.convert("L")) for image in (before, after))
        low, high = _wider(*_neighbourhood(grey))  # of 5 x 5: ringing lies beside its edge
        beyond = np.maximum(np.maximum(other, high) - high, low - np.minimum(other, low))
        scattered = (beyond > np.minimum(high - low, 255 - _BEYOND_EDGES) + _BEYOND_EDGES).mean()
        counts = np.array(ImageChops.difference(before, after).histogram(), dtype=np.int64).reshape(3, 256)
        reached = counts.cumsum(axis=1)
        pixels = before.width * before.height
        peaks = (reached < pixels).sum(axis=1)
        usual = (reached < pixels * 0.999).sum(axis=1)
        return cls(
            peak=float(peaks.max()) / 255,
            stands_out=bool(
                scattered >= _SCATTERED or (peaks > _OUTSTANDING * np.maximum(usual, _QUIET)).any()
            ),
        )


def _detail(grey: Image.Image) -> _Patches:
    """How far the pixels of each patch lie from their surroundings: texture, which no patch's mean shows."""
    smooth = grey.filter(ImageFilter.BoxBlur(1))  # the finest detail is noise and does not survive resizing
    deviation = ImageChops.difference(smooth, smooth.filter(ImageFilter.BoxBlur(_DETAIL_RADIUS)))
    return _Patches.of(deviation, _DETAIL_RADIUS)


def _wider(low: Pixels, high: Pixels) -> tuple[Pixels, Pixels]:
    """Minimum and maximum over the neighbours' own."""
    return _neighbourhood(low)[0], _neighbourhood(high)[1]


def _neighbourhood(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """Minimum and maximum over each pixel's 3 x 3 neighbourhood."""
    low, high = pixels.copy(), pixels.copy()
    for ahead, behind in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        for bound, pick in ((low, np.minimum), (high, np.maximum)):
            previous = bound.copy()
            pick(bound[ahead], previous[behind], out=bound[ahead])
            pick(bound[behind], previous[ahead], out=bound[behind])
    return low, high
