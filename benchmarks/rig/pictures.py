"""Photographs at the sizes that editors give, each with candidates that were really edited, as files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx
import numpy as np
from PIL import Image, ImageOps

from rig.calls import Body, Group
from rig.photographs import photographs

PRINCIPLES = [
    {"id": "1", "category": "follow", "question": "Is there a red square?"},
    {"id": "2", "category": "keep", "question": "Is everything else as it was?"},
    {"id": "3", "category": "quality", "question": "Are there no visible artefacts?"},
]
_NAMES = ("astronaut", "chelsea", "china", "coffee", "flower", "motorcycle_left", "rocket", "grace_hopper")
_GRAIN = 2.0  # of 255, standard deviation: enlarged photographs have none, and would compress too well
_SAVED = {
    "PNG": {"compress_level": 6},
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 90},
    "WEBP lossless": {"lossless": True, "method": 0},
}
FORMATS = tuple(_SAVED)


@dataclass(frozen=True)
class Edits:
    """A source and its candidates as files."""

    source: bytes
    candidates: tuple[bytes, ...]

    @property
    def files(self) -> tuple[bytes, ...]:
        """All of them."""
        return (self.source, *self.candidates)

    def body(self, **fields: object) -> Body:
        """A score call as multipart/form-data; `fields` are added to its JSON."""
        files = {f"i{n}": ("image", data, "image/any") for n, data in enumerate(self.files)}
        source, *candidates = [{"part": name} for name in files]
        request = {
            "instruction": "add a red square",
            "source": source,
            "candidates": candidates,
            "principles": PRINCIPLES,
            **fields,
        }
        json_bytes = httpx.Request("POST", "http://service", json=request).read()
        form = httpx.Request("POST", "http://service", files={**files, "request": (None, json_bytes)})
        return Body(form.read(), form.headers["Content-Type"])


def make_edits(size: int, format_: str, candidates: int, number: int = 0) -> Edits:
    """Edits of photograph `number` at `size` x `size` pixels. Every candidate is another picture."""
    source, edited = edited_pictures(size, candidates, number)
    return Edits(_saved(source, format_), tuple(_saved(picture, format_) for picture in edited))


def edited_pictures(size: int, candidates: int, number: int = 0) -> tuple[Image.Image, list[Image.Image]]:
    """The source and the candidates of `make_edits`."""
    dice = np.random.default_rng((size, number))
    photograph = photographs()[_NAMES[number % len(_NAMES)]]
    source = _with_grain(ImageOps.fit(photograph, (size, size), Image.Resampling.LANCZOS), dice)
    return source, [_edited(source, dice) for _ in range(candidates)]


def photographed(group: Group, size: int, number: int) -> Group:
    """The group with photographs of that size in place of its own pictures."""
    source, edited = edited_pictures(size, len(group.candidates), number)
    return replace(group, source=source, candidates=tuple(edited))


def decode_bare(files: Sequence[bytes]) -> None:
    """What nobody who scores a picture can do without: Pillow decodes each to its last pixel."""
    for data in files:
        with Image.open(io.BytesIO(data)) as image:
            image.load()


def _with_grain(image: Image.Image, dice: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image).astype(np.float32)
    pixels += dice.normal(0.0, _GRAIN, pixels.shape).astype(np.float32)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _edited(source: Image.Image, dice: np.random.Generator) -> Image.Image:
    """The source with a square where another candidate has none."""
    edited, side = source.copy(), source.width // 6
    x, y = (int(n) for n in dice.integers(0, source.width - side, 2))
    edited.paste((200, int(dice.integers(0, 60)), 30), (x, y, x + side, y + side))
    return edited


def _saved(image: Image.Image, format_: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_.split()[0], **_SAVED[format_])
    return buffer.getvalue()
