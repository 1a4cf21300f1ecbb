"""`VllmEngine`: prompts run on vLLM's `AsyncLLM` in this process, its engine core in one of its own.

Prompts become text by the checkpoint's own chat template, images become tensors by its own processor.
vLLM knows an image by its content digest, so that its preprocessing, its encoding and its prompt
prefix are found again.
"""

import asyncio
import gc
import itertools
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from edit_rrm.checkpoint import read_card
from edit_rrm.errors import CheckpointError
from edit_rrm.images import EditImage
from edit_rrm.principles import numbered
from edit_rrm.profiles import get_profile
from edit_rrm.prompts import ImageSlot, Prompt, PromptProfile
from edit_rrm_server.engine import Completion, DrawSettings
from edit_rrm_server.errors import EngineError, RequestRefusedError, UnavailableError
from edit_rrm_server.judging import VERDICT_TEXTS
from edit_rrm_server.prompt_text import ChatText
from edit_rrm_server.service import LoadedModel
from edit_rrm_server.settings import ServerSettings
from edit_rrm_server.vllm_start import adjust_config, engine_arguments
from edit_rrm_server.vllm_tokens import TokenReader
from edit_rrm_server.weights import default_cache_file, weights_digest

logger = logging.getLogger(__name__)

Progress = Callable[[str], None]
_DEAD_RETRY_S = 30.0
_SHUTDOWN_S = 10.0


async def load_vllm_model(settings: ServerSettings, progress: Progress) -> LoadedModel:
    """Loads the checkpoint of the settings; `progress` is told each step.

    Raises CheckpointError and vLLM's own errors.
    """
    directory = Path(settings.model)
    if not (directory / "config.json").is_file():
        raise CheckpointError(f"{directory} is no checkpoint: it holds no config.json")
    card = read_card(directory)
    digest = await asyncio.to_thread(weights_digest, directory, default_cache_file())
    starting = asyncio.ensure_future(asyncio.to_thread(_start_engine, settings, progress))
    try:
        engine = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The thread cannot be interrupted, and an engine process must not outlive this one.
        await (await starting).stop()
        raise
    progress("warming up")
    await _warm_up(engine, get_profile(card.profile))
    return LoadedModel(engine, card, digest, engine.architecture, engine.max_model_len)


async def _warm_up(engine: "VllmEngine", profile: PromptProfile) -> None:
    """One short verification: the first is several times slower, and no caller's should be the first."""
    grey = EditImage.from_pil(Image.new("RGB", (64, 64), (128, 128, 128)))
    principles = numbered([("keep", "is it grey?")])
    images = dict.fromkeys(ImageSlot, grey)
    await engine.generate(
        profile.verify("nothing", principles), images, DrawSettings(0.0, 1.0, 0, 2), VERDICT_TEXTS
    )


def _start_engine(settings: ServerSettings, progress: Progress) -> "VllmEngine":
    """Blocks until the engine core is up; runs in a thread so that the probes answer meanwhile."""
    progress("importing vLLM")
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    progress("reading the model's configuration")
    config = AsyncEngineArgs(**engine_arguments(settings)).create_engine_config()
    adjust_config(config, settings)
    progress("loading the model")
    return VllmEngine(AsyncLLM.from_vllm_config(config))


class VllmEngine:
    """Satisfies `Engine` on a running AsyncLLM."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._ids = itertools.count()
        tokenizer = llm.renderer.tokenizer
        self._chat = ChatText(
            tokenizer, _processor_template(llm) if tokenizer.chat_template is None else None
        )
        self._reader = TokenReader(tokenizer)
        self._stopped = False
        self.architecture: str = llm.model_config.architectures[0]
        self.max_model_len: int = llm.model_config.max_model_len

    @property
    def alive(self) -> bool:
        """False once the engine core has died or was stopped."""
        return not self._stopped and not self._llm.errored

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        draw: DrawSettings,
        watched: tuple[str, ...] = (),
    ) -> Completion:
        """See `Engine.generate`."""
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        shown = [images[slot] for slot in prompt.slots]
        request = {
            "prompt": self._chat.render(prompt),
            "multi_modal_data": {"image": [image.image for image in shown]},
            "multi_modal_uuids": {"image": [image.digest for image in shown]},
        }
        drawn = self._llm.generate(request, self._sampling(draw, watched), f"job-{next(self._ids)}")
        try:
            outputs = [output async for output in drawn]
        except EngineDeadError as error:
            raise UnavailableError("engine_dead", "the engine has died", _DEAD_RETRY_S) from error
        except EngineGenerateError as error:
            raise EngineError("vLLM could not finish the prompt") from error
        except (VLLMClientError, ValueError) as error:
            raise RequestRefusedError(
                "invalid_request", f"the model cannot take the prompt: {error}"
            ) from error
        return self._completion(outputs[-1] if outputs else None)

    async def stop(self) -> None:
        """Ends the engine core and waits for its process."""
        if not self._stopped:
            self._stopped = True
            llm, self._llm = self._llm, None  # its finalizer must not run when the interpreter is half gone
            if llm.output_handler is not None:
                llm.output_handler.cancel()  # else it reports the end of the engine as a death
            await asyncio.to_thread(llm.shutdown, _SHUTDOWN_S)
            del llm
            gc.collect()

    def _sampling(self, draw: DrawSettings, watched: tuple[str, ...]) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        return SamplingParams(
            temperature=draw.temperature,
            top_p=draw.top_p,
            seed=draw.seed,
            max_tokens=draw.max_tokens,
            logprob_token_ids=list(self._reader.watched_ids(watched)) or None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _completion(self, output: Any) -> Completion:
        if output is None or not output.outputs:
            raise EngineError("vLLM returned no output")
        written = output.outputs[0]
        if written.finish_reason not in ("stop", "length"):
            raise EngineError(f"vLLM ended the prompt with {written.finish_reason!r}")
        return Completion(
            text=written.text,
            tokens=self._reader.tokens(written.text, written.token_ids, written.logprobs),
            prompt_tokens=len(output.prompt_token_ids or ()),
            cached_prompt_tokens=output.num_cached_tokens or 0,
            completion_tokens=len(written.token_ids),
            finish_reason=written.finish_reason,
        )


def _processor_template(llm: Any) -> str | None:
    """The chat template of checkpoints that keep it with their processor."""
    from vllm.transformers_utils.processor import cached_processor_from_config

    template: str | None = cached_processor_from_config(llm.model_config).chat_template
    return template
