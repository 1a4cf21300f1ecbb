"""An engine that answers from a script: what the service asks is recorded, the test decides what it gets."""

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.traces import render_trace
from edit_rrm_server.engines.engine import Completion, SamplingSettings, Token
from edit_rrm_server.errors import UnavailableError

DECOMPOSITION = "1. follow: is the circle blue?\n2. keep: is the rest the same?\n3. quality: is it clean?"
PROMPT_TOKENS, CACHED_TOKENS = 100, 64
# The probability of every digit that is written, against the other verdict digit.
WRITTEN = 0.9


@dataclass(frozen=True)
class Asked:
    """One call of `generate`."""

    prompt: Prompt
    images: Mapping[ImageSlot, EditImage]
    sampling: SamplingSettings
    watched: tuple[str, ...]
    group: str
    adapter: str

    @property
    def text(self) -> str:
        """All text of the prompt."""
        return "\n".join(
            part for m in self.prompt.messages for part in m.parts if not isinstance(part, ImageSlot)
        )

    @property
    def verifies(self) -> bool:
        """Whether it asks for a trace, not for principles."""
        return ImageSlot.CANDIDATE in self.prompt.slots

    @property
    def principle_count(self) -> int:
        """How many principles the prompt lists."""
        return len(re.findall(r"^\d+\. (?:follow|keep|quality): ", self.text, re.M))


def trace(asked: Asked, score: float = 6.0, unmet: tuple[int, ...] = ()) -> str:
    """A trace for the prompt's principles; those numbered in `unmet` (from 1) are not met."""
    numbers = range(1, asked.principle_count + 1)
    return render_trace([(f"evidence {number}", number not in unmet) for number in numbers], score)


def well_behaved(asked: Asked) -> str:
    """Principles or a trace of score 6 with every principle met."""
    return trace(asked) if asked.verifies else DECOMPOSITION


class ScriptedEngine:
    """Satisfies `Engine`. `gate`, when set to an event, holds every job until the event is set.

    Setting `alive` to false kills it; since `hung_since` (monotonic seconds) it ends no step.
    """

    def __init__(self, script: Callable[[Asked], str | Completion] = well_behaved) -> None:
        self.script = script
        self._death = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.asked: list[Asked] = []
        self.running = 0
        self.most_running = 0
        self.aborted = 0
        self.stopped = False
        self.hung_since: float | None = None

    @property
    def alive(self) -> bool:
        return not self._death.is_set()

    @alive.setter
    def alive(self, alive: bool) -> None:
        if alive:
            self._death.clear()
        else:
            self._death.set()

    @property
    def stalled_s(self) -> float:
        return time.monotonic() - self.hung_since if self.hung_since is not None else 0.0

    async def died(self) -> None:
        await self._death.wait()

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        asked = Asked(prompt, images, sampling, watched, group, adapter)
        self.asked.append(asked)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if not self.alive:
                raise UnavailableError("engine_dead", "the scripted engine is dead", 30.0)
            answer = self.script(asked)
            return completion(answer) if isinstance(answer, str) else answer
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.running -= 1

    async def stop(self) -> None:
        self.stopped = True


def completion(text: str) -> Completion:
    """`text` as a completion of one token per character."""
    return Completion(
        text=text,
        tokens=tuple(_token(character, offset) for offset, character in enumerate(text)),
        prompt_tokens=PROMPT_TOKENS,
        cached_prompt_tokens=CACHED_TOKENS,
        completion_tokens=len(text),
        finish_reason="stop",
    )


def _token(character: str, offset: int) -> Token:
    other = {"0": "1", "1": "0"}.get(character)
    alternatives = {} if other is None else {other: math.log(1 - WRITTEN)}
    return Token(character, offset, math.log(WRITTEN), alternatives)
