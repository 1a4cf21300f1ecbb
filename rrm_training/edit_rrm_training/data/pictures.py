"""How a row refers to a picture, and the one function that turns a reference into the picture.

A reference is a path (relative to the file that holds it), the bytes of an image file, those bytes as a
`data:` URL (the form bytes take in JSON), or a picture of the shapes world by its name,
`shapes:SEED/INDEX/source` or `shapes:SEED/INDEX/CANDIDATE`. Those need no file: thousands of rows can be
made without drawing one.
"""

import base64
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from PIL import Image
from pydantic import PlainSerializer

from edit_rrm.images import decode_image
from edit_rrm_shapes.world.dataset import EditRecord, make_edit

SHAPES_CANDIDATES = 4
"""A source's pixel noise is drawn after its candidates: a reference means the source of an edit with this
many, and candidate k is the same whatever the number."""
_SHAPES = re.compile(r"shapes:(?P<seed>\d+)/(?P<index>\d+)/(?P<which>source|\d+)")
_DATA_URL = re.compile(r"data:image/[a-z]+;base64,")


def _as_text(reference: str | bytes) -> str:
    return reference if isinstance(reference, str) else data_url(reference)


PictureRef = Annotated[str | bytes, PlainSerializer(_as_text, when_used="json")]


@dataclass(frozen=True)
class ShapesRef:
    """A picture of the shapes world; `candidate` is None for the source."""

    seed: int
    index: int
    candidate: int | None = None

    def __str__(self) -> str:
        return f"shapes:{self.seed}/{self.index}/{'source' if self.candidate is None else self.candidate}"

    @classmethod
    def parse(cls, reference: str | bytes) -> "ShapesRef | None":
        """None for a reference of another form."""
        match = _SHAPES.fullmatch(reference) if isinstance(reference, str) else None
        if match is None:
            return None
        which = match["which"]
        return cls(int(match["seed"]), int(match["index"]), None if which == "source" else int(which))

    def edit(self) -> EditRecord:
        """The edit the picture belongs to, with at least `SHAPES_CANDIDATES` candidates."""
        return _edit(self.seed, self.index, max(SHAPES_CANDIDATES, (self.candidate or 0) + 1))

    def picture(self) -> Image.Image:
        """The picture itself, drawn."""
        edit = self.edit()
        return edit.picture() if self.candidate is None else edit.candidates[self.candidate].picture()


@lru_cache(maxsize=256)
def _edit(seed: int, index: int, candidates: int) -> EditRecord:
    return make_edit(seed, index, candidates)


def rebased(reference: str | bytes, old_base: Path, new_base: Path) -> str | bytes:
    """The same reference for a file in another directory: only relative paths change."""
    if isinstance(reference, bytes) or ShapesRef.parse(reference) or _DATA_URL.match(reference):
        return reference
    if Path(reference).is_absolute():
        return reference
    return os.path.relpath(old_base.resolve() / reference, new_base.resolve())


def data_url(image_file: bytes) -> str:
    """The bytes of an image file as text. The media type says PNG: readers go by the bytes."""
    return "data:image/png;base64," + base64.b64encode(image_file).decode()


def load_image(reference: str | bytes, base_dir: Path) -> Image.Image:
    """The upright RGB picture a reference means; relative paths start at `base_dir`.

    Raises ImageError for bytes that are no image, OSError for a file that cannot be read.
    """
    shapes = ShapesRef.parse(reference)
    if shapes is not None:
        return shapes.picture()
    if isinstance(reference, str):
        url = _DATA_URL.match(reference)
        reference = base64.b64decode(reference[url.end() :]) if url else (base_dir / reference).read_bytes()
    return decode_image(reference).image
