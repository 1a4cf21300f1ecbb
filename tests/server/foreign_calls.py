"""Requests as the remote clients of Flow-Factory and UniRL build them, from files."""

import base64
from typing import Any

from small_calls import BLUE, RED, picture, png

GREEN = png(picture((30, 200, 30)))


def text(file: bytes) -> str:
    """The base64 of a file."""
    return base64.b64encode(file).decode()


def compute_body(*edited: bytes, **fields: Any) -> dict[str, Any]:
    """A POST /compute of Flow-Factory; red circles made blue, unless told otherwise."""
    files = edited or (BLUE,)
    return {
        "prompt": ["make the red circle blue"] * len(files),
        "image": [text(file) for file in files],
        "video": None,
        "condition_images": [[text(RED)] for _ in files],
        "condition_videos": None,
        "kwargs": None,
        **fields,
    }


def wire_request(edited: bytes = BLUE, source: bytes = RED, **fields: Any) -> dict[str, Any]:
    """One request of UniRL."""
    instruction = fields.pop("instruction", "make the red circle blue")
    return {
        "history": [
            {"text": instruction, "image_b64": text(source)},
            {"text": instruction, "image_b64": text(edited)},
        ],
        "required_rewards": ["edit_rrm"],
        "metadata": None,
        "request_id": "r",
        "sample_id": None,
        "group_id": None,
        "source_rank": 0,
        "policy_version": None,
        "scorer_version": None,
        "idempotency_key": None,
        **fields,
    }


def score_batch(*requests: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A POST /score of UniRL."""
    return {"protocol_version": "1", "requests": list(requests or (wire_request(),)), **fields}
