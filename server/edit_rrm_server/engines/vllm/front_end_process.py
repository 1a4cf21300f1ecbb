"""A front end of the engine, in a process of its own: chat template, image processor, vLLM's client.

It serves one pipe until that is closed. It must not know of admission, judges or HTTP.
"""

import asyncio
import contextlib
import os
import queue
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edit_rrm.quiet_libraries import quieten
from edit_rrm_server.engines.ending_with_service import end_with_service
from edit_rrm_server.engines.vllm.engine import VllmEngine
from edit_rrm_server.engines.vllm.errors import service_error
from edit_rrm_server.engines.vllm.frames import Answer, Ask, Beat, Cancel, KeptImages, PackedError
from edit_rrm_server.event_loop import run_to_end

BEAT_S = 1.0
TITLE = "edit-rrm front end"
"""What `ps` says of it, with its number."""


def run(
    pipe: Connection, config: Any, addresses: Mapping[str, Any], place: int, adapters: Mapping[str, Path]
) -> None:
    """The process. Says "ready" once the engine has answered it, or why it could not begin."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it, after its last call
    end_with_service()
    quieten()
    with contextlib.suppress(ImportError):  # vLLM brings it
        import setproctitle

        setproctitle.setproctitle(f"{TITLE} {place}")
    try:
        from vllm.v1.engine.async_llm import AsyncLLM

        llm = AsyncLLM.from_vllm_config(
            config,
            client_addresses=dict(addresses),
            client_count=config.parallel_config._api_process_count,
            client_index=place,
        )
        engine = VllmEngine(llm, adapters)
    except Exception as error:  # told to whoever waits for it
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send("ready")
    run_to_end(_FrontEnd(pipe, engine).serve())
    os._exit(0)  # vLLM's own end would wait for an engine that may be gone


class _FrontEnd:
    """One side of the pipe. A thread reads it, another writes: pickling must not hold up the event loop."""

    def __init__(self, pipe: Connection, engine: VllmEngine) -> None:
        self._pipe = pipe
        self._engine = engine
        self._images = KeptImages()
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._outgoing: queue.SimpleQueue[Answer | Beat] = queue.SimpleQueue()
        self._closed = asyncio.Event()

    async def serve(self) -> None:
        """Until the other side says so, or is gone."""
        loop = asyncio.get_running_loop()
        for work in (self._read, self._write):
            threading.Thread(target=work, args=(loop,), daemon=True).start()
        beating = asyncio.create_task(self._beat())
        await self._closed.wait()
        beating.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            if self._jobs:
                self._outgoing.put(Beat(self._engine.step_report()))

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """However it ends, so does the process: a side that cannot follow must not be waited for."""
        try:
            while (frame := self._pipe.recv()) is not None:
                if isinstance(frame, Ask):
                    images = {slot: self._images.received(sent) for slot, sent in frame.images.items()}
                    loop.call_soon_threadsafe(self._begin, frame, images)
                else:
                    loop.call_soon_threadsafe(self._cancel, frame)
        except (EOFError, OSError):
            pass  # the service is gone
        finally:
            loop.call_soon_threadsafe(self._closed.set)

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                self._pipe.send(self._outgoing.get())
            except OSError:
                loop.call_soon_threadsafe(self._closed.set)
                return

    def _begin(self, ask: Ask, images: Any) -> None:
        self._jobs[ask.number] = asyncio.create_task(self._answer(ask, images))

    def _cancel(self, frame: Cancel) -> None:
        job = self._jobs.get(frame.number)
        if job is not None:
            job.cancel()

    async def _answer(self, ask: Ask, images: Any) -> None:
        job = ask.job
        try:
            rendered, found = await self._engine.draw(
                job.prompt, images, job.sampling, job.watched, job.adapter, job.group, job.trace_headers
            )
            told = None
            if job.told:
                told = replace(rendered, engine_input=None, known_brightness=rendered.brightness)
            self._outgoing.put(Answer(ask.number, found, told, None))
        except Exception as error:
            known = error if error.__class__.__module__.startswith("edit_rrm") else service_error(error)
            self._outgoing.put(Answer(ask.number, None, None, PackedError.of(known)))
        finally:
            del self._jobs[ask.number]
