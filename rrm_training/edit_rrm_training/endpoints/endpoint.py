"""What a chat endpoint is to the pipeline, and how a text that cannot be used is asked for again."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm_training.endpoints.usage import Usage
from edit_rrm_training.errors import AnswerError

DRAW_SEED_STEP = 1_000_003
RETRY_TEMPERATURE = 0.7
"""A further draw is at least this warm: a greedy one would repeat itself."""

T = TypeVar("T")


@dataclass(frozen=True)
class ChatRequest:
    """One question. `pictures` fill the prompt's slots; relative paths start at `base_dir`."""

    prompt: Prompt
    pictures: Mapping[ImageSlot, str | bytes]
    base_dir: Path
    temperature: float
    seed: int
    max_tokens: int


@dataclass(frozen=True)
class ChatAnswer:
    """What an endpoint wrote, and what it cost."""

    text: str
    usage: Usage


class Endpoint(Protocol):
    """Answers chat requests; `concurrency` is how many at once it takes."""

    @property
    def name(self) -> str: ...

    @property
    def concurrency(self) -> int: ...

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Raises EndpointError once its own retries are spent."""
        ...

    async def close(self) -> None:
        """Lets go of its connections."""
        ...


def seed_of(*parts: object) -> int:
    """A seed from names, 31 bits, the same on every machine."""
    return random.Random("-".join(map(str, parts))).getrandbits(31)


class Meter:
    """Adds up what a row costs, for its record even when it fails."""

    def __init__(self) -> None:
        self.usage = Usage()


async def ask(
    endpoint: Endpoint, request: ChatRequest, parse: Callable[[str], T], draws: int, meter: Meter
) -> T:
    """The parsed answer of the first draw that parses. Raises AnswerError after `draws`, EndpointError."""
    reason, text = "", ""
    for draw in range(draws):
        again = replace(
            request,
            seed=(request.seed + draw * DRAW_SEED_STEP) % 2**31,
            temperature=max(request.temperature, RETRY_TEMPERATURE) if draw else request.temperature,
        )
        answer = await endpoint.complete(again)
        meter.usage += answer.usage
        try:
            return parse(answer.text)
        except (TraceError, DecompositionError) as error:
            reason, text = str(error), answer.text
    raise AnswerError(f"no usable text in {draws} draws: {reason}", text)
