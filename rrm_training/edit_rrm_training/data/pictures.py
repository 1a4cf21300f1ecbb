"""How a row refers to a picture, and the one function that turns a reference into the picture.

A reference is a path (relative to the file that holds it), the bytes of an image file, those bytes as a
`data:` URL (the form bytes take in JSON), or `SCHEME:…` where an installed package registers the scheme
(entry point group `edit_rrm.pictures`: a function from the whole reference to a picture).
"""

import base64
import os
import re
from pathlib import Path
from typing import Annotated

from PIL import Image
from pydantic import PlainSerializer

from edit_rrm import plugins
from edit_rrm.images import decode_image

_DATA_URL = re.compile(r"data:image/[a-z]+;base64,")


def _as_text(reference: str | bytes) -> str:
    return reference if isinstance(reference, str) else data_url(reference)


PictureRef = Annotated[str | bytes, PlainSerializer(_as_text, when_used="json")]


def _scheme(reference: str) -> str | None:
    """The registered scheme that a reference begins with; a path may hold a colon, too."""
    scheme, colon, _ = reference.partition(":")
    return scheme if colon and scheme in plugins.names("edit_rrm.pictures") else None


def rebased(reference: str | bytes, old_base: Path, new_base: Path) -> str | bytes:
    """The same reference for a file in another directory: only relative paths change."""
    if isinstance(reference, bytes) or _scheme(reference) or _DATA_URL.match(reference):
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
    if isinstance(reference, str):
        scheme = _scheme(reference)
        if scheme is not None:
            drawn: Image.Image = plugins.load("edit_rrm.pictures", scheme)(reference)
            return drawn
        url = _DATA_URL.match(reference)
        reference = base64.b64decode(reference[url.end() :]) if url else (base_dir / reference).read_bytes()
    return decode_image(reference).image
