"""Small pictures, and calls that score them."""

import base64
import io
from typing import Any

from PIL import Image, ImageDraw


def picture(colour: tuple[int, int, int] = (220, 30, 30), size: tuple[int, int] = (48, 48)) -> Image.Image:
    """A grey picture with a disc of `colour`."""
    image = Image.new("RGB", size, (128, 128, 128))
    ImageDraw.Draw(image).ellipse((10, 10, 36, 36), fill=colour)
    return image


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def b64(data: bytes) -> dict[str, str]:
    """An image of the API from a file's bytes."""
    return {"b64": base64.b64encode(data).decode()}


RED, BLUE = png(picture()), png(picture((30, 30, 220)))
PRINCIPLES = [
    {"id": "p1", "question": "Is the circle blue?", "category": "follow"},
    {"id": "p2", "question": "Is the background the same?", "category": "keep"},
]


def score_body(**fields: Any) -> dict[str, Any]:
    """A score request: red circle, blue candidate, two principles; `fields` replace, None removes."""
    body: dict[str, Any] = {
        "instruction": "make the red circle blue",
        "source": b64(RED),
        "candidates": [b64(BLUE)],
        "principles": PRINCIPLES,
        **fields,
    }
    return {name: value for name, value in body.items() if value is not None}
