"""`FrontEndsEngine`: one engine behind several front ends, each a process with vLLM's renderer and client.

One process can prepare about fifty pictures of 1024 x 1024 a second and read thirty thousand tokens; several
engines, or a fast one, want more. Admission stays in the service: there is one queue, one window.
"""

import asyncio
import contextlib
import itertools
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edit_rrm.images import EditImage
from edit_rrm.judges.texts.thinking import is_thought_tag
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.tokens import TokenReader
from edit_rrm_server.engines.affinity import Places
from edit_rrm_server.engines.child_processes import first_end, handles_of, kill
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.steps import StepReport, stalled_s
from edit_rrm_server.engines.vllm import front_end_process, internals
from edit_rrm_server.engines.vllm.frames import Answer, Ask, Beat, Cancel, Job, KeptImages, with_pixels
from edit_rrm_server.engines.vllm.rendering import RenderedPrompt
from edit_rrm_server.engines.watched_engine import engine_dead
from edit_rrm_server.errors import EngineStartError
from edit_rrm_server.observe import tracing

_SHUTDOWN_S = 10.0


class FrontEndsEngine:
    """Satisfies `Engine`, and has what `VllmEngine` tells of itself."""

    def __init__(self, config: Any, count: int, adapters: Mapping[str, Path] = MappingProxyType({})) -> None:
        """Starts the engine and its front ends. Blocks. Raises EngineStartError, and vLLM's own errors."""
        self._config = config
        self._front_ends: list[_FrontEnd] = []
        self._launch: Any = None
        self._stopped = False
        self._died = asyncio.Event()
        context = multiprocessing.get_context("spawn")
        try:
            with internals.launched_engine(config, count) as (launch, addresses):
                self._launch = launch
                self._processes = handles_of(process.pid for process in internals.launched_processes(launch))
                for place in range(count):
                    self._front_ends.append(_FrontEnd(context, config, addresses[place], place, adapters))
            for front_end in self._front_ends:
                front_end.wait_until_ready()
        except BaseException:
            self.shut_down()
            raise
        self._reader = TokenReader(internals.tokenizer_from(config), is_thought_tag)
        self._places = Places(count)
        self.sharing = internals.sharing(config)
        self.architecture: str = config.model_config.architectures[0]
        self.max_model_len: int = config.model_config.max_model_len
        self.sequences = internals.sequences_of(config)
        self.steps = f"{internals.steps_of(config)}, {count} front ends"

    @property
    def alive(self) -> bool:
        """False once the engine or one of its front ends has ended, or it was stopped."""
        return not self._stopped and not self._died.is_set()

    @property
    def stalled_s(self) -> float:
        """See `Engine.stalled_s`. A front end that hangs is as bad as an engine that does."""
        steps = [front_end.steps() for front_end in self._front_ends]
        return max([stalled_s(steps), *(front_end.silent_s for front_end in self._front_ends)])

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        """See `Engine.generate`. A group stays at one front end, which has its source prepared."""
        job = Job(prompt, sampling, watched, adapter, group, tracing.headers(), told=False)
        return (await self._drawn(job, images))[1]

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
        job = Job(prompt, sampling, watched, adapter, group, tracing.headers(), told=True)
        rendered, completion = await self._drawn(job, images)
        assert rendered is not None
        return rendered, completion

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text of some tokens of a prompt."""
        return self._reader.text(token_ids)

    async def died(self) -> None:
        """Returns once the engine or one of its front ends has ended."""
        engine = [process.sentinel for process in internals.launched_processes(self._launch)]
        await first_end([*engine, *(front_end.sentinel for front_end in self._front_ends)])
        self._died.set()
        for front_end in self._front_ends:
            front_end.fail()

    async def stop(self) -> None:
        """Ends the front ends, then the engine, and waits for their processes."""
        self._stopped = True
        for front_end in self._front_ends:
            front_end.fail()
        await asyncio.to_thread(self.shut_down)

    def shut_down(self) -> None:
        """`stop` for an engine that no event loop has used yet. Blocks."""
        self._stopped = True
        front_ends, self._front_ends = self._front_ends, []
        for front_end in front_ends:
            front_end.close()
        launch, self._launch = self._launch, None
        if launch is not None:
            internals.shut_down_launched(launch, _SHUTDOWN_S)
            kill(self._processes)

    async def _drawn(
        self, job: Job, images: Mapping[ImageSlot, EditImage]
    ) -> tuple[RenderedPrompt | None, Completion]:
        if not self.alive:
            raise engine_dead()
        shown = {slot: images[slot] for slot in dict.fromkeys(job.prompt.slots)}
        with self._places.use(job.group) as place:
            answer = await self._front_ends[place or 0].ask(job, shown)
        if answer.error is not None:
            raise answer.error.unpacked()
        assert answer.drawn is not None
        return answer.rendered, answer.drawn.completion(self._reader)


class _FrontEnd:
    """The service's side of one front end's pipe. What is sent is sent in the order in which it was asked."""

    def __init__(
        self,
        context: Any,
        config: Any,
        addresses: Mapping[str, Any],
        place: int,
        adapters: Mapping[str, Path],
    ) -> None:
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, internals.config_of_client(config, place), addresses, place, dict(adapters))
        self._process = context.Process(
            target=front_end_process.run, args=arguments, name=f"front-end-{place}", daemon=True
        )
        self._process.start()
        theirs.close()
        self._numbers = itertools.count()
        self._images = KeptImages()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        # Made in the thread that sends them: pixels take their time.
        self._outgoing: queue.SimpleQueue[Callable[[], Ask | Cancel] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._heard_at = self._asked_at = time.monotonic()
        self._beat: tuple[float, StepReport] = (self._heard_at, {})

    @property
    def silent_s(self) -> float:
        """For how long nothing has come from it although it has jobs, and says something every second."""
        if not self._waiting:
            return 0.0
        return time.monotonic() - max(self._heard_at, self._asked_at)

    def steps(self) -> StepReport:
        """What it last said of the engine's ranks, as old as that is by now."""
        at, said = self._beat
        aged_s, busy = time.monotonic() - at, bool(self._waiting) and at >= self._asked_at
        return {rank: steps.later(aged_s, busy=busy) for rank, steps in said.items()}

    @property
    def sentinel(self) -> int:
        """Readable from the end of its process on."""
        return int(self._process.sentinel)

    def wait_until_ready(self) -> None:
        """Blocks. Raises EngineStartError."""
        try:
            said = self._pipe.recv()
        except EOFError:
            said = "its process ended"
        if said != "ready":
            raise EngineStartError(f"a front end of the engine did not begin: {said}")

    async def ask(self, job: Job, images: Mapping[ImageSlot, EditImage]) -> Answer:
        """The answer to one prompt. Cancelling aborts it over there."""
        loop = asyncio.get_running_loop()
        if not self._threads:
            self._begin(loop)
        number, news = next(self._numbers), self._images.news(images.values())
        answered: asyncio.Future[Answer] = loop.create_future()
        if not self._waiting:
            self._asked_at = time.monotonic()
        self._waiting[number] = answered
        self._outgoing.put(lambda: Ask(number, job, with_pixels(images, news)))
        try:
            return await answered
        except asyncio.CancelledError:
            self._outgoing.put(lambda: Cancel(number))
            raise
        finally:
            del self._waiting[number]

    def fail(self) -> None:
        """Ends every job here with engine_dead."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(engine_dead())

    def close(self) -> None:
        """Ends the process, by force if it does not listen. Blocks until it is gone."""
        if self._threads:
            self._outgoing.put(None)
            self._process.join(_SHUTDOWN_S / 2)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        for thread in self._threads:  # their pipe has no other end now
            thread.join(_SHUTDOWN_S / 2)
        self._pipe.close()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        for work in (self._write, lambda: self._read(loop)):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _write(self) -> None:
        try:
            while (make := self._outgoing.get()) is not None:
                self._pipe.send(make())
            self._pipe.send(None)
        except OSError:
            self._process.kill()  # it has ended as a rule, which is noticed elsewhere
        except Exception:
            self._process.kill()  # if it has not ended: it is not in step with this side any more
            raise

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(EOFError, OSError, RuntimeError):  # its process has ended, or the loop has
            while True:
                loop.call_soon_threadsafe(self._heard, self._pipe.recv())

    def _heard(self, said: Answer | Beat) -> None:
        self._heard_at = time.monotonic()
        if isinstance(said, Beat):
            self._beat = (self._heard_at, said.steps)
            return
        answer, waiting = said, self._waiting.get(said.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
