"""The real application around an engine that answers at once, as a process; it tells what it has used.

    python benchmarks/rig/instant_service.py PORT '{"tokens": 500, "settings": {…}}'

With `trace_s` the engine takes so many seconds for each trace, however many it has.

GET /bench: {"process_s", "loop_s"} of processor time so far. With ?watch=1 also how late the event loop came
to a timer since it was asked so last, in ms; the timer runs from the first time on.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn

from edit_rrm.checkpoint import read_card
from edit_rrm.images import EditImage
from edit_rrm.judges.texts.thinking import is_thought_tag
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.tokens import TokenReader
from edit_rrm.traces import render_trace
from edit_rrm.verdict_probability import VERDICT_TEXTS
from edit_rrm_server.api.app import create_app
from edit_rrm_server.engines.engine import Completion, SamplingSettings
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.openai.start import load_openai_model
from edit_rrm_server.event_loop import run_to_end
from edit_rrm_server.life.service import Service
from edit_rrm_server.observe.fleet_metrics import FleetMetrics
from edit_rrm_server.process.allocation import keep_freed_memory
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings

TIMER_S = 0.005
PRINCIPLES = "1. follow: Is there a red square?\n2. keep: Is all else as it was?\n3. quality: Is it clean?"


class InstantEngine:
    """Satisfies `Engine`: three principles or one trace, read as vLLM's output is read."""

    alive = True

    def __init__(self, tokens: int, trace_s: float) -> None:
        from transformers import AutoTokenizer  # the fleet's side needs none of it

        tokenizer = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
        self._reader = TokenReader(tokenizer, is_thought_tag)
        self._ids = trace_ids(tokenizer, tokens)
        self._logprobs = _logprobs(self._ids, self._reader.watched_ids(VERDICT_TEXTS))
        self._trace_s = trace_s
        self._never = asyncio.Event()

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        if self._trace_s:
            await asyncio.sleep(self._trace_s)
        if ImageSlot.CANDIDATE not in prompt.slots:
            return Completion(PRINCIPLES, (), 500, 0, 40, "stop")
        text = self._reader.text(self._ids)
        return Completion(
            text, self._reader.tokens(text, self._ids, self._logprobs), 1000, 0, len(self._ids), "stop"
        )

    @property
    def stalled_s(self) -> float:
        """It answers at once."""
        return 0.0

    async def died(self) -> None:
        await self._never.wait()

    async def stop(self) -> None:
        self._never.set()


def trace_text(evidence: str) -> str:
    """A trace for the three principles that `rig.pictures` asks about."""
    return render_trace([(evidence, True)] * 3, 8.0)


def trace_ids(tokenizer: Any, tokens: int) -> list[int]:
    """The ids of a trace of at least so many tokens."""
    evidence = "It is"
    while len(ids := tokenizer.encode(trace_text(evidence), add_special_tokens=False)) < tokens:
        evidence += " there, red and square, as was asked" if tokens - len(ids) > 60 else " so"
    return list(ids)


def _logprobs(ids: list[int], watched: tuple[int, ...]) -> Any:
    from vllm.logprobs import FlatLogprobs

    made = FlatLogprobs()
    for number in ids:
        shown = [number, *watched]
        made.append_fast(
            shown, [-0.1 - n for n in range(len(shown))], iter(range(1, 99)), [None] * len(shown)
        )
    return made


async def serve(port: int, tokens: int, settings: ServerSettings, trace_s: float = 0.0) -> None:
    """Until it is killed."""

    async def load(checkpoint: Path) -> LoadedModel:
        if metrics is not None:
            return await load_openai_model(settings, lambda _: None, metrics)
        return LoadedModel(InstantEngine(tokens, trace_s), card, "0" * 12, "instant", None)

    card = read_card(BUNDLED_MODEL).model_copy(update={"max_image_side": None})
    service = Service(settings, load)
    metrics = FleetMetrics(service.metrics.registry) if settings.engine == "openai" else None
    app = create_app(service)
    late_ms: list[float] = []
    watching: list[asyncio.Task[None]] = []

    async def look() -> None:
        while True:
            due = time.monotonic() + TIMER_S
            await asyncio.sleep(TIMER_S)
            late_ms.append(1e3 * (time.monotonic() - due))

    async def bench(*, watch: bool = False) -> dict[str, Any]:
        if watch and not watching:
            watching.append(asyncio.create_task(look()))
        found = late_ms.copy()
        late_ms.clear()
        return {"process_s": time.process_time(), "loop_s": time.thread_time(), "late_ms": found}

    app.add_api_route("/bench", bench)
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="on")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    told = json.loads(sys.argv[2])
    keep_freed_memory()
    settings = ServerSettings(**told["settings"])
    run_to_end(serve(int(sys.argv[1]), told["tokens"], settings, told.get("trace_s", 0.0)))
