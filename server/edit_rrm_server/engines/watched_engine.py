"""`WatchedEngine`: an engine whose death ends every prompt in it at once, whatever the engine itself does.

vLLM reports most deaths to the prompts that wait, but not all: a prompt that is just being handed over
may wait for an answer that never comes, or be cancelled although nobody asked for it. An engine that hangs
reports nothing: it is as good as dead once it has not come forward for long enough.
"""

import asyncio
import math
from collections.abc import Mapping

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_server.engines.engine import Completion, Engine, SamplingSettings
from edit_rrm_server.errors import UnavailableError
from edit_rrm_server.observe import tracing

DEAD_RETRY_S = 10.0
"""What callers are told to wait for a restart; a restart takes about that long on a CPU."""

_LOOKS, _MAX_LOOK_S = 20, 5.0  # how often it is looked at in the time after which it hangs


def engine_dead() -> UnavailableError:
    """The error of everything that the engine's death ended or prevented."""
    return UnavailableError("engine_dead", "the engine has died and is being restarted", DEAD_RETRY_S)


class WatchedEngine:
    """Satisfies `Engine` around another one. See the module; `watch` must run for it to hold.

    An engine that has not come forward for `hang_s` seconds although it has prompts hangs.
    """

    def __init__(self, engine: Engine, hang_s: float = math.inf) -> None:
        self._engine = engine
        self._hang_s = hang_s
        self.hung = False
        self._dead = False
        self._prompts: set[asyncio.Timeout] = set()
        self.completed = 0  # prompts

    @property
    def alive(self) -> bool:
        """Whether it can run another prompt."""
        return not self._dead and self._engine.alive

    @property
    def stalled_s(self) -> float:
        """See `Engine.stalled_s`."""
        return self._engine.stalled_s

    async def watch(self) -> None:
        """Returns when the engine has died or hangs; every prompt in it then ends with engine_dead."""
        death, hang = asyncio.create_task(self._engine.died()), asyncio.create_task(self._hang())
        try:
            ended, _ = await asyncio.wait({death, hang}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (death, hang):
                task.cancel()
        for task in ended:
            task.result()
        self.hung = death not in ended
        self._end_prompts()

    async def _hang(self) -> None:
        """Returns once it hangs. Seen twice: a service that stood still itself first reads what has come."""
        seen = 0
        while seen < 2:
            await asyncio.sleep(min(self._hang_s / _LOOKS, _MAX_LOOK_S))
            seen = seen + 1 if self.stalled_s >= self._hang_s else 0

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
