"""`WatchedEngine`: an engine whose death ends every prompt in it at once, whatever the engine itself does.

vLLM reports most deaths to the prompts that wait, but not all: a prompt that is just being handed over
may wait for an answer that never comes, or be cancelled although nobody asked for it.
"""

import asyncio
from collections.abc import Mapping

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.engine import Completion, Engine, SamplingSettings
from edit_rrm_server.errors import UnavailableError
from edit_rrm_server.observe import tracing

DEAD_RETRY_S = 10.0
"""What callers are told to wait for a restart; a restart takes about that long on a CPU."""


def engine_dead() -> UnavailableError:
    """The error of everything that the engine's death ended or prevented."""
    return UnavailableError("engine_dead", "the engine has died and is being restarted", DEAD_RETRY_S)


class WatchedEngine:
    """Satisfies `Engine` around another one. See the module; `watch` must run for it to hold."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._dead = False
        self._prompts: set[asyncio.Timeout] = set()
        self.completed = 0  # prompts

    @property
    def alive(self) -> bool:
        """Whether it can run another prompt."""
        return not self._dead and self._engine.alive

    async def watch(self) -> None:
        """Returns when the engine has died; every prompt in it then ends with engine_dead."""
        await self._engine.died()
        self._end_prompts()

    async def died(self) -> None:
        """See `Engine.died`."""
        await self._engine.died()

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        """See `Engine.generate`."""
        if not self.alive:
            raise engine_dead()
        try:
            async with asyncio.timeout(None) as until_death:
                self._prompts.add(until_death)
                try:
                    with tracing.span("engine") as span:
                        completion = await self._engine.generate(
                            prompt, images, sampling, watched, group, adapter
                        )
                        span.note(
                            prompt_tokens=completion.prompt_tokens,
                            cached_prompt_tokens=completion.cached_prompt_tokens,
                            completion_tokens=completion.completion_tokens,
                        )
                finally:
                    self._prompts.discard(until_death)
        except TimeoutError as error:
            if until_death.expired():
                raise engine_dead() from error
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling() == 0:
                raise engine_dead() from error  # nobody cancelled this task: the engine dropped the prompt
            raise
        self.completed += 1
        return completion

    async def stop(self) -> None:
        """See `Engine.stop`. Prompts in it end with engine_dead."""
        self._end_prompts()
        await self._engine.stop()

    def _end_prompts(self) -> None:
        self._dead = True
        now = asyncio.get_running_loop().time()
        for prompt in self._prompts:
            if not prompt.expired():
                prompt.reschedule(now)
