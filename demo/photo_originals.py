"""The photographs that packages ship and everybody may hand on, each with whose it is and its licence."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

LONGEST_SIDE = 512
CC0 = "CC0 1.0"
CC_BY = "CC BY 2.0 (https://creativecommons.org/licenses/by/2.0/)"


@dataclass(frozen=True)
class Original:
    """A file of a package; `licence` and `by` as the package states them in `stated_in`."""

    name: str
    package: str
    file: str
    by: str
    licence: str
    stated_in: str


_SKIMAGE = "skimage/data/_fetchers.py"
_SKLEARN = "sklearn/datasets/images/README.txt"
ORIGINALS = {
    one.name: one
    for one in (
        Original("brick", "skimage", "data/brick.png", "CC0Textures, Bricks25", CC0, _SKIMAGE),
        Original("camera", "skimage", "data/camera.png", "Lav Varshney", CC0, _SKIMAGE),
        Original("chelsea", "skimage", "data/chelsea.png", "Stefan van der Walt", CC0, _SKIMAGE),
        Original("china", "sklearn", "datasets/images/china.jpg", "danielbuechele (Flickr)", CC_BY, _SKLEARN),
        Original("coffee", "skimage", "data/coffee.png", "Rachel Michetti", CC0, _SKIMAGE),
        Original(
            "coins", "skimage", "data/coins.png", "Brooklyn Museum Collection",
            "no known copyright restrictions", _SKIMAGE,
        ),
        Original("flower", "sklearn", "datasets/images/flower.jpg", "vultilion (Flickr)", CC_BY, _SKLEARN),
        Original("hubble", "skimage", "data/hubble_deep_field.jpg", "NASA", "public domain", _SKIMAGE),
        Original("rocket", "skimage", "data/rocket.jpg", "SpaceX", "public domain", _SKIMAGE),
    )
}  # fmt: skip


def photograph(name: str) -> Image.Image:
    """One of them, RGB, at most `LONGEST_SIDE` pixels. Raises FileNotFoundError without its package."""
    original = ORIGINALS[name]
    spec = importlib.util.find_spec(original.package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{original.package} is not installed: it is one of the `dev` extra")
    with Image.open(Path(spec.origin).parent / original.file) as image:
        found = image.convert("RGB")
    found.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return found
