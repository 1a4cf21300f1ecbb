"""Photographs that packages ship, and edits by real editors where a folder holds them."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_SHIPPED = {  # package: files in it
    "skimage": [
        f"data/{name}"
        for name in (
            "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
            "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "page.png",
            "retina.jpg", "rocket.jpg",
        )
    ],
    "sklearn": ["datasets/images/china.jpg", "datasets/images/flower.jpg"],
    "matplotlib": ["mpl-data/sample_data/grace_hopper.jpg"],
}  # fmt: skip
REAL_EDITS = Path(__file__).parents[3] / "shared" / "data" / "photo_edits"


@dataclass(frozen=True)
class RealEdit:
    """A published edit, or the part of one in which nothing was asked for."""

    name: str
    instruction: str
    source: Image.Image
    edited: Image.Image


def photographs() -> dict[str, Image.Image]:
    """The shipped ones by name, RGB. Raises FileNotFoundError for a package that is not installed."""
    found = {}
    for package, files in _SHIPPED.items():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"{package} is not installed: it is one of the `dev` extra")
        for file in files:
            path = Path(spec.origin).parent / file
            found[path.stem] = Image.open(path).convert("RGB")
    return found


def real_sources(folder: Path = REAL_EDITS) -> dict[str, Image.Image]:
    """The photographs that the real edits were made of, by name; none where the folder is absent."""
    found = sorted(folder.glob("*/source.*")) if folder.is_dir() else []
    return {path.parent.name: Image.open(path).convert("RGB") for path in found}


def real_edits(folder: Path = REAL_EDITS) -> Iterator[RealEdit]:
    """The edits of `pairs.jsonl`; none where the folder is absent."""
    if not folder.is_dir():
        return
    for line in (folder / "pairs.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        images = (Image.open(folder / row[side]).convert("RGB") for side in ("source", "edited"))
        yield RealEdit(f"{row['id']}/{row['model']}", row["instruction"], *images)


def real_no_edits(folder: Path = REAL_EDITS) -> Iterator[RealEdit]:
    """What editors made of parts in which nothing was asked for; none where the folder is absent."""
    for source in sorted((folder / "noop").glob("*_source.png")):
        edited = source.with_name(source.name.replace("_source", "_candidate"))
        images = (Image.open(path).convert("RGB") for path in (source, edited))
        yield RealEdit(source.stem.removesuffix("_source"), "add a red balloon", *images)
