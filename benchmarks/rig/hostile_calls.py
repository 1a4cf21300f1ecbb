"""One file as the candidate of an edit through the API's three doors: JSON, a form, a line of a stream."""

import base64
import io
import json
from typing import Any, get_args

import httpx
from PIL import Image

from edit_rrm.errors import ImageErrorCode

DOORS = ("JSON", "multipart", "stream")
REFUSALS = frozenset(get_args(ImageErrorCode))
"""Codes that a file may be refused with."""


def _source() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "grey").save(buffer, "PNG")
    return buffer.getvalue()


_SOURCE = _source()
_REQUEST: dict[str, Any] = {
    "instruction": "make it blue",
    "principles": [{"id": "p1", "question": "Is it blue?", "category": "follow"}],
    "guards": "off",
}


async def told_at_each_door(http: httpx.AsyncClient, content: bytes) -> list[str]:
    """What the answer says of the file at each of `DOORS`: its reward, or the code of its error."""
    inline = {**_REQUEST, "source": _encoded(_SOURCE), "candidates": [_encoded(content)]}
    plain = await http.post("/v1/score", json=inline)
    named = {**_REQUEST, "source": {"part": "s"}, "candidates": [{"part": "c"}]}
    parts = {"request": (None, json.dumps(named).encode()), "s": ("s", _SOURCE), "c": ("c", content)}
    form = await http.post("/v1/score", files=parts)
    line = json.dumps(inline).encode() + b"\n"
    stream = await http.post(
        "/v1/score/stream", content=line, headers={"content-type": "application/x-ndjson"}
    )
    return [_told(answer.json()) for answer in (plain, form, stream)]


def _told(answer: dict[str, Any]) -> str:
    if "results" not in answer:
        return str(answer.get("error", answer)["code"])
    (result,) = answer["results"]
    return f"reward {result['reward']:.4f}" if result["status"] == "ok" else str(result["error"]["code"])


def _encoded(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}
