"""Families in the real engine, looked at: `python seen.py DIRECTORY KEY...` prints JSON, a line a family.

One engine after the other, as when a service is told to load another checkpoint: vLLM is imported once.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image

from edit_rrm.images import EditImage
from edit_rrm.judges import ZeroShotProfile
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm.verdict_probability import VERDICT_TEXTS, met_probability
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.engines.vllm import internals
from edit_rrm_server.engines.vllm.engine import VllmEngine
from edit_rrm_server.engines.vllm.loading import load_vllm_model
from edit_rrm_server.engines.vllm.probe import segments
from edit_rrm_server.engines.vllm.start import end_forkserver, prepare_environment
from edit_rrm_server.errors import ServiceError
from edit_rrm_server.scoring.warm_up import warm_up
from edit_rrm_server.settings.server import ServerSettings
from families.checkpoints import save_family

PRINCIPLES = numbered([("follow", "is the circle blue?"), ("keep", "is the rest the same?")])
THOUGHT_TOKENS = 8
GREEDY = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=24)


class Warnings(logging.Handler):
    """What the service warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def head_ids(engine: VllmEngine) -> list[int]:
    """What the tokenizer writes before every text."""
    tokenizer = internals.tokenizer_of(engine._llm)
    plain_ids = tokenizer.encode("a", add_special_tokens=False)
    return list(tokenizer.encode("a")[: -len(plain_ids)])


def plain(width: int, height: int, grey: int) -> EditImage:
    return EditImage.from_pil(Image.new("RGB", (width, height), (grey, grey, grey)))


async def look(checkpoint: Path, settings: ServerSettings) -> dict[str, Any]:
    started = time.monotonic()
    warnings = Warnings()
    log = logging.getLogger("edit_rrm_server")
    log.addHandler(warnings)
    model = await load_vllm_model(settings, lambda step: None, warm_up)
    engine = model.engine
    assert isinstance(engine, VllmEngine)
    try:
        seen: dict[str, Any] = {"start_s": time.monotonic() - started, "prefix_reuse": model.prefix_reuse}
        seen |= {"architecture": model.architecture, "sharing": engine.sharing, "warnings": warnings.said}
        return seen | await seen_of(engine)
    finally:
        log.removeHandler(warnings)
        await engine.stop()


async def seen_of(engine: VllmEngine) -> dict[str, Any]:
    prompt = ZeroShotProfile().verify("make the circle blue", PRINCIPLES)
    source = plain(64, 64, 20)
    cached = []
    for grey in (150, 160, 170):
        images = {ImageSlot.SOURCE: source, ImageSlot.CANDIDATE: plain(128, 64, grey)}
        rendered, completion = await engine.run(prompt, images, GREEDY, VERDICT_TEXTS)
        cached.append(completion.cached_prompt_tokens)
    seen: dict[str, Any] = {
        "prompt_tokens": len(rendered.token_ids),
        "shareable_tokens": rendered.image_spans[1][0],
        "cached": cached,
        "texts": segments(rendered, engine.text_of),
        "head_ids": head_ids(engine),
        "first_ids": list(rendered.token_ids[:4]),
        "image_tokens": [length for _, length in rendered.image_spans],
    }
    # Both images anew and the other way round: what the processor made of them must turn round too.
    fresh = {ImageSlot.SOURCE: plain(128, 64, 30), ImageSlot.CANDIDATE: plain(64, 64, 140)}
    turned, _ = await engine.run(prompt, fresh, GREEDY, VERDICT_TEXTS)
    seen["turned_image_tokens"] = [length for _, length in turned.image_spans]
    seen["brightness"] = list(turned.brightness)
    seen["text"] = completion.text
    seen["tokens"] = [
        {
            "text": token.text,
            "logprob": token.logprob,
            "alternatives": dict(token.alternatives),
            "met": met_probability([replace(token, offset=0)], len(token.text) - 1) if token.text else None,
        }
        for token in completion.tokens
    ]
    # A thought that these weights would never end has a budget of its own; the answer goes on behind it.
    thinking = replace(GREEDY, max_tokens=THOUGHT_TOKENS + 24, thinking_tokens=THOUGHT_TOKENS)
    _, completion = await engine.run(prompt.told({"enable_thinking": True}), images, thinking)
    seen["thinking"] = [token.text for token in completion.tokens]
    # More than a step's 2,048 tokens, sampled: twice the same seed, twice the same text.
    long = ZeroShotProfile().verify("make the circle blue " * 400, PRINCIPLES)
    sampled = SamplingSettings(temperature=1.0, top_p=1.0, seed=7, max_tokens=24)
    texts = []
    for grey in (100, 100, 101):
        images = {ImageSlot.SOURCE: plain(64, 64, grey), ImageSlot.CANDIDATE: plain(128, 64, grey)}
        rendered, completion = await engine.run(long, images, sampled, VERDICT_TEXTS)
        texts.append(completion.text)
    seen["long_prompt_tokens"], seen["sampled"] = len(rendered.token_ids), texts
    # A prompt refused for its length leaves its images as they were.
    images = {ImageSlot.SOURCE: plain(64, 64, 41), ImageSlot.CANDIDATE: plain(128, 64, 142)}
    room = engine.max_model_len - seen["prompt_tokens"]
    try:
        await engine.run(prompt, images, replace(GREEDY, max_tokens=room + 1))
        seen["refused"] = None
    except ServiceError as error:
        seen["refused"] = [error.code, error.detail]
    _, completion = await engine.run(prompt, images, GREEDY)
    seen["after_refusal"] = completion.completion_tokens
    # Images that vLLM takes for known and its engine never got: the prompt is run again, sampled the same.
    lost = {ImageSlot.SOURCE: plain(64, 64, 43), ImageSlot.CANDIDATE: plain(128, 64, 144)}
    await engine._renderer.render(prompt, lost, GREEDY.max_tokens)
    _, completion = await engine.run(prompt, lost, GREEDY)
    seen["after_loss"] = completion.completion_tokens
    return seen


async def look_at_each(checkpoints: Sequence[Path]) -> None:
    for checkpoint in checkpoints:
        print(json.dumps(await look(checkpoint, settings_for(checkpoint))), flush=True)


def settings_for(checkpoint: Path) -> ServerSettings:
    return ServerSettings(model=checkpoint, max_num_seqs=8)


def main(directory: Path, keys: Sequence[str]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    checkpoints = [save_family(key, directory / key) for key in keys]
    prepare_environment(settings_for(checkpoints[0]))
    try:
        asyncio.run(look_at_each(checkpoints))
    finally:
        end_forkserver()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
