"""A prompt's length is known before its images are the engine's; what it never got is not taken for known."""

import asyncio
from typing import Any

import pytest
from PIL import Image
from transformers import AutoTokenizer

from edit_rrm.images import EditImage
from edit_rrm.judges import TrainedProfile
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.engines.vllm import internals
from edit_rrm_server.engines.vllm.chat_text import ChatText
from edit_rrm_server.engines.vllm.rendering import PromptRenderer
from edit_rrm_server.errors import RequestRefusedError
from edit_rrm_server.settings.server import BUNDLED_MODEL

PROMPT = TrainedProfile().verify("make it blue", numbered([("follow", "is it blue?")]))
IMAGES = {
    slot: EditImage.from_pil(Image.new("RGB", (8, 8), (grey,) * 3))
    for slot, grey in ((ImageSlot.SOURCE, 10), (ImageSlot.CANDIDATE, 200))
}
TOKENS = 100
SENT = object()


class Configuration:
    """What vLLM knows of a model."""

    max_model_len = 128


class Cache:
    """vLLM's list of the images its engine holds."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def invalidate(self, name: str) -> None:
        self.names.discard(name)


class Renderer:
    """vLLM's renderer, of which `internals` knows the way; an image counts as sent once it was rendered."""

    def __init__(self) -> None:
        self.model_config = Configuration()
        self.mm_processor_cache = Cache()
        self.asked: list[dict[str, Any]] = []
        self.pause: asyncio.Event | None = None

    async def render(self, _: object, prompt: dict[str, Any], **how: Any) -> dict[str, Any]:
        self.asked.append(how)
        if self.pause is not None:
            await self.pause.wait()
        names = prompt["multi_modal_uuids"]["image"]
        items = [None if name in self.mm_processor_cache.names else SENT for name in names]
        self.mm_processor_cache.names.update(names)
        spans = [
            type("Span", (), {"offset": 10, "length": 4})(),
            type("Span", (), {"offset": 50, "length": 4})(),
        ]
        return {
            "type": "multimodal",
            "prompt_token_ids": [0] * TOKENS,
            "mm_hashes": {"image": names},
            "mm_kwargs": {"image": items},
            "mm_placeholders": {"image": spans},
        }


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Renderer:
    renderer = Renderer()
    monkeypatch.setattr(internals, "render", renderer.render)
    return renderer


@pytest.fixture
def renderer(vllm: Renderer) -> PromptRenderer:
    return PromptRenderer(vllm, ChatText(AutoTokenizer.from_pretrained(BUNDLED_MODEL)))


async def test_a_prompt_that_fits_is_rendered_and_its_text_bounded(
    renderer: PromptRenderer, vllm: Renderer
) -> None:
    rendered = await renderer.render(PROMPT, IMAGES, max_tokens=28)
    assert (len(rendered.token_ids), rendered.image_spans) == (TOKENS, ((10, 4), (50, 4)))
    assert vllm.asked == [{"special_tokens": False, "max_prompt_tokens": 100}]
    assert len(vllm.mm_processor_cache.names) == 2


async def test_one_token_too_many_is_refused_with_the_numbers_and_no_image_counts_as_sent(
    renderer: PromptRenderer, vllm: Renderer
) -> None:
    with pytest.raises(RequestRefusedError, match=r"a prompt of 100 tokens and max_tokens 29 .* 128 tokens"):
        await renderer.render(PROMPT, IMAGES, max_tokens=29)
    assert vllm.mm_processor_cache.names == set()


async def test_what_the_engine_had_before_it_still_has_after_a_refusal(
    renderer: PromptRenderer, vllm: Renderer
) -> None:
    vllm.mm_processor_cache.names.add(IMAGES[ImageSlot.SOURCE].digest)
    with pytest.raises(RequestRefusedError):
        await renderer.render(PROMPT, IMAGES, max_tokens=29)
    assert vllm.mm_processor_cache.names == {IMAGES[ImageSlot.SOURCE].digest}


async def test_an_answer_longer_than_the_model_is_refused_before_anything_is_rendered(
    renderer: PromptRenderer, vllm: Renderer
) -> None:
    with pytest.raises(RequestRefusedError, match="max_tokens 128"):
        await renderer.render(PROMPT, IMAGES, max_tokens=128)
    assert vllm.asked == []


async def test_images_of_a_caller_who_left_meanwhile_do_not_count_as_sent(
    renderer: PromptRenderer, vllm: Renderer
) -> None:
    vllm.pause = asyncio.Event()
    task = asyncio.create_task(renderer.render(PROMPT, IMAGES, max_tokens=1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    vllm.pause.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(vllm.asked) == 1
    assert vllm.mm_processor_cache.names == set()
