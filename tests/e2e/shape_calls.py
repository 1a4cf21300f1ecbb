"""Score calls for edits of the shapes world."""

import io
import json
from typing import Any

from PIL import Image

from edit_rrm_shapes.world.dataset import EditRecord


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def gold_principles(edit: EditRecord) -> list[dict[str, str]]:
    """The principles the shapes world knows to be right."""
    return [
        {"id": f"g{i}", "question": c.question, "category": c.category.value}
        for i, c in enumerate(edit.checks)
    ]


def group_call(edit: EditRecord, count: int = 8, **fields: Any) -> dict[str, Any]:
    """A score call for the edit's first `count` candidates and gold principles, as multipart arguments."""
    pictures = {
        "source": edit.picture(),
        **{f"c{i}": c.picture() for i, c in enumerate(edit.candidates[:count])},
    }
    body = {
        "instruction": edit.request.instruction,
        "source": {"part": "source"},
        "candidates": [{"part": f"c{i}"} for i in range(count)],
        "principles": gold_principles(edit),
        **fields,
    }
    body = {name: value for name, value in body.items() if value is not None}
    files: dict[str, Any] = {
        name: (f"{name}.png", png(image), "image/png") for name, image in pictures.items()
    }
    return {"files": {"request": (None, json.dumps(body).encode(), "application/json"), **files}}
