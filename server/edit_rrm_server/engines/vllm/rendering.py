"""From a prompt and its images to what vLLM's engine takes, by vLLM's own renderer; its length is checked."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edit_rrm.images import EditImage
from edit_rrm.judges.texts.thinking import opens_thought
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.vllm import internals
from edit_rrm_server.engines.vllm.chat_text import ChatText
from edit_rrm_server.errors import RequestRefusedError


@dataclass(frozen=True)
class RenderedPrompt:
    """What the engine is given, and what template, tokenizer and processor made of the prompt."""

    engine_input: Any
    token_ids: tuple[int, ...]
    image_spans: tuple[tuple[int, int], ...]
    """First token and number of tokens of each image, in the order of the prompt's slots."""
    thought_opened: bool = False
    """Whether it ends inside a thought that its template began."""

    known_brightness: Sequence[float | None] | None = None
    """Where another process has the engine's input."""

    @property
    def brightness(self) -> Sequence[float | None]:
        """The mean of what the processor made of each image; None for one that the engine has already."""
        if self.known_brightness is not None:
            return self.known_brightness
        return internals.image_brightness(self.engine_input) if self.image_spans else ()


class PromptRenderer:
    """Renders prompts with vLLM's `renderer`. A prompt's images count as held by the engine from then on."""

    def __init__(self, renderer: Any, chat: ChatText) -> None:
        self._renderer = renderer
        self._chat = chat
        self._max_model_len: int = renderer.model_config.max_model_len

    async def render(
        self, prompt: Prompt, images: Mapping[ImageSlot, EditImage], max_tokens: int
    ) -> RenderedPrompt:
        """The prompt, if it leaves room for `max_tokens`. The engine's images are as before if it does not.

        Raises RequestRefusedError (invalid_request), and vLLM's errors.
        """
        room = self._max_model_len - max_tokens
        if room < 1:
            raise self._too_long("a prompt", max_tokens)
        shown = [images[slot] for slot in prompt.slots]
        text = self._chat.render(prompt)
        request = {
            "prompt": text,
            "multi_modal_data": {"image": [image.image for image in shown]},
            "multi_modal_uuids": {"image": [image.digest for image in shown]},
        }
        rendering = asyncio.ensure_future(
            internals.render(
                self._renderer,
                request,
                special_tokens=self._chat.needs_special_tokens(text),
                max_prompt_tokens=room,
            )
        )
        try:
            made = await asyncio.shield(rendering)
        except asyncio.CancelledError:  # the images are processed all the same, in a thread
            rendering.add_done_callback(self._nobody_waits)
            raise
        rendered = RenderedPrompt(
            made,
            tuple(made["prompt_token_ids"]),
            tuple(internals.image_spans(made)) if shown else (),
            opens_thought(text),
        )
        if len(rendered.token_ids) > room:
            self.forget(rendered)
            raise self._too_long(f"a prompt of {len(rendered.token_ids)} tokens", max_tokens)
        return rendered

    def forget(self, rendered: RenderedPrompt) -> None:
        """The engine may not have got this prompt's images: they are sent again when they come again."""
        internals.forget_images(self._renderer, rendered.engine_input)

    def _nobody_waits(self, rendering: "asyncio.Future[Any]") -> None:
        if not rendering.cancelled() and rendering.exception() is None:
            internals.forget_images(self._renderer, rendering.result())

    def _too_long(self, what: str, max_tokens: int) -> RequestRefusedError:
        return RequestRefusedError(
            "invalid_request",
            f"{what} and max_tokens {max_tokens} do not fit into the model's {self._max_model_len} tokens",
        )
