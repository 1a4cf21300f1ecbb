"""Requests as the remote clients of Flow-Factory and UniRL build them, from files."""

import base64
from typing import Any

from running_service import CARD, Running, Start
from scripted_engine import Asked, ScriptedEngine
from small_calls import BLUE, RED, picture, png

from edit_rrm.judges.shelf import find_judge
from edit_rrm_server.engines.engine import Completion, Token
from edit_rrm_server.engines.loaded_model import LoadedModel

GREEN = png(picture((30, 200, 30)))


def text(file: bytes) -> str:
    """The base64 of a file."""
    return base64.b64encode(file).decode()


async def start_many_sources(start: Start, **settings: Any) -> Running:
    """A service with a judge that takes several sources and gives every edit the full reward."""
    engine = ScriptedEngine(lambda asked: Completion("5", (Token("5", 0, 0.0, {}),), 100, 64, 1, "length"))

    async def load() -> LoadedModel:
        return LoadedModel(engine, CARD, "0123456789ab", "Q", 2048, chosen_judge=find_judge("digit"))

    return await start(engine, load, **settings)


def colours(asked: Asked) -> str:
    """What colour each image of a prompt has at its middle, in the prompt's order."""
    middles = [asked.images[slot].image.getpixel((24, 24)) for slot in asked.prompt.slots]
    return " ".join(("red", "green", "blue")[middle.index(max(middle))] for middle in middles)


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
