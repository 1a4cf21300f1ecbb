"""`VllmEngine`: prompts run on vLLM's `AsyncLLM` in this process, its engine core in one of its own.

Prompts become text by the checkpoint's own chat template, images become tensors by its own processor.
vLLM knows an image by its content digest, so that its preprocessing, its encoding and its prompt
prefix are found again.
"""

import asyncio
import functools
import gc
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edit_rrm.errors import EditRRMError
from edit_rrm.images import EditImage
from edit_rrm.judges.texts.thinking import is_thought_tag
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.tokens import TokenReader
from edit_rrm_server.engines.affinity import Places
from edit_rrm_server.engines.child_processes import first_end, handles_of, kill
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.steps import StepReport, Steps, stalled_s
from edit_rrm_server.engines.vllm import internals
from edit_rrm_server.engines.vllm.chat_text import ChatText
from edit_rrm_server.engines.vllm.drawn import Drawn, drawn
from edit_rrm_server.engines.vllm.errors import service_error
from edit_rrm_server.engines.vllm.parameters import vllm_parameters
from edit_rrm_server.engines.vllm.rendering import PromptRenderer, RenderedPrompt
from edit_rrm_server.engines.watched_engine import engine_dead
from edit_rrm_server.errors import ServiceError
from edit_rrm_server.observe import tracing

_SHUTDOWN_S = 10.0


class VllmEngine:
    """Satisfies `Engine` on a running AsyncLLM, with `adapters` by name."""

    def __init__(self, llm: Any, adapters: Mapping[str, Path] = MappingProxyType({})) -> None:
        self._llm = llm
        self._loras = {
            name: internals.lora_request(name, number, directory)
            for number, (name, directory) in enumerate(adapters.items(), start=1)
        }
        self._ids = itertools.count()
        tokenizer = internals.tokenizer_of(llm)
        chat = ChatText(
            tokenizer,
            internals.processor_template(llm) if tokenizer.chat_template is None else None,
            functools.partial(internals.image_text, llm.model_config),
        )
        self._renderer = PromptRenderer(llm.renderer, chat)
        self._reader = TokenReader(tokenizer, is_thought_tag)
        self._processes = handles_of(process.pid for process in internals.engine_processes(llm))
        self._ends_thoughts = internals.ends_thoughts(llm)
        self._speculates = internals.speculates(llm)
        self._stopped = False
        self.sharing = internals.sharing(llm.vllm_config)
        self.architecture: str = llm.model_config.architectures[0]
        self.max_model_len: int = llm.model_config.max_model_len
        self.sequences = internals.sequences_of(llm.vllm_config)
        self.steps = internals.steps_of(llm.vllm_config)
        self._ranks = Places(internals.ranks_of(llm.vllm_config))
        self._steps = Steps()
        internals.tell_of_steps(llm, self._steps.ended)

    @property
    def alive(self) -> bool:
        """False once the engine core has died or was stopped."""
        return not self._stopped and not self._llm.errored

    @property
    def stalled_s(self) -> float:
        """See `Engine.stalled_s`."""
        return stalled_s([self.step_report()])

    def step_report(self) -> StepReport:
        """What is known of the engine's ranks."""
        return self._steps.report()

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        """See `Engine.generate`. With data parallelism a group stays on one rank: each has its own cache.

        A prompt that ends in vLLM's "error" is run again once, sampled the same: its engine may not have
        had an image that was taken for known. vLLM forgets such an image when it finds out.
        """
        return (await self.run(prompt, images, sampling, watched, adapter, group))[1]

    async def run(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        adapter: str = "",
        group: str = "",
    ) -> tuple[RenderedPrompt, Completion]:
        """`generate`, with what the prompt became."""
        rendered, found = await self.draw(prompt, images, sampling, watched, adapter, group)
        return rendered, found.completion(self._reader)

    async def draw(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        adapter: str = "",
        group: str = "",
        trace_headers: Mapping[str, str] | None = None,
    ) -> tuple[RenderedPrompt, Drawn]:
        """What `run` reads a completion from."""
        parameters = vllm_parameters(
            sampling,
            list(self._reader.watched_ids(watched)),
            ends_thoughts=self._ends_thoughts,
            speculates=self._speculates,
        )
        lora = self._loras[adapter] if adapter else None
        with self._ranks.use(group) as rank:
            run = functools.partial(
                self._run, prompt, images, parameters, lora, rank, trace_headers or tracing.headers()
            )
            rendered, output = await run()
            if output is not None and output.outputs and output.outputs[0].finish_reason == "error":
                rendered, output = await run()
        return rendered, drawn(output, rendered, self._reader)

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text of some tokens of a prompt."""
        return self._reader.text(token_ids)

    async def _run(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        parameters: Any,
        lora: Any,
        rank: int | None,
        trace_headers: Mapping[str, str] | None,
    ) -> tuple[RenderedPrompt, Any]:
        """What the prompt became and vLLM's last output for it, None for none."""
        try:
            rendered = await self._renderer.render(prompt, images, parameters.max_tokens)
        except (ServiceError, EditRRMError):
            raise
        except Exception as error:
            raise service_error(error) from error
        if not self.alive:
            raise engine_dead()
        generated = self._llm.generate(
            rendered.engine_input,
            parameters,
            f"job-{next(self._ids)}",
            lora_request=lora,
            trace_headers=trace_headers,
            data_parallel_rank=rank,
        )
        try:
            with self._steps.work(rank or 0):
                outputs = [output async for output in generated]
        except Exception as error:
            self._renderer.forget(rendered)
            raise service_error(error) from error
        return rendered, outputs[-1] if outputs else None

    async def died(self) -> None:
        """Returns once an engine process has ended, or vLLM's reading of its answers.

        Costs nothing while it waits.
        """
        processes = [process.sentinel for process in internals.engine_processes(self._llm)]
        await first_end(processes, internals.output_handler(self._llm))

    async def stop(self) -> None:
        """Ends the engine core, or what is left of it, and waits for its process."""
        llm = self._take()
        if llm is None:
            return
        handler = internals.output_handler(llm)
        if handler is not None:
            handler.cancel()  # else it reports the end of the engine as a death
        try:
            await asyncio.to_thread(self._end, llm)
        finally:
            del llm
            gc.collect()

    def shut_down(self) -> None:
        """`stop` for an engine that no event loop has used yet. Blocks."""
        llm = self._take()
        if llm is not None:
            self._end(llm)

    def _take(self) -> Any | None:
        """What is to be ended, once. Not kept: its finalizer must not run in an interpreter half gone."""
        self._stopped = True
        llm, self._llm = self._llm, None
        return llm

    def _end(self, llm: Any) -> None:
        llm.shutdown(_SHUTDOWN_S)
        # When the fork server has died, vLLM takes its children for dead too and leaves them running.
        kill(self._processes)
