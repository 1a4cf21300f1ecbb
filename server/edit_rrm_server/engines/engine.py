"""What an engine is: it runs a prompt with its images and returns text with token log-probabilities.

An engine knows nothing of principles, verdicts or rewards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edit_rrm.images import EditImage
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.tokens import Token as Token

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class SamplingSettings:
    """How one completion is drawn. Temperature 0 is greedy; the same settings give the same text.

    `top_k` is the number of tokens to choose among, 0 for all. `json_schema` holds the text to a form.
    `thinking_tokens` of `max_tokens` are for a thought before the answer, 0 where the model is not to think.
    """

    temperature: float
    top_p: float
    seed: int
    max_tokens: int
    top_k: int = 0
    json_schema: str | None = None
    thinking_tokens: int = 0


@dataclass(frozen=True)
class Completion:
    """What the model wrote for one prompt, and what it cost in tokens."""

    text: str
    tokens: Sequence[Token]
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    finish_reason: FinishReason
    thought_opened: bool | None = None
    """Whether the prompt ended inside a thought; None where that is not known."""


class PromptRunner(Protocol):
    """Runs prompts: what is asked of an engine, and of what stands around one."""

    async def generate(
        self,
        prompt: Prompt,
        images: Mapping[ImageSlot, EditImage],
        sampling: SamplingSettings,
        watched: tuple[str, ...] = (),
        group: str = "",
        adapter: str = "",
    ) -> Completion:
        """One completion. `watched` are token texts whose log-probabilities are wanted at every place.

        Prompts of one `group` share their beginning: an engine over several replicas keeps them together.
        `adapter` names one of those that the engine has loaded beside its weights; "" for the weights alone.

        Raises UnavailableError (engine_dead), EngineError for a failure of this prompt alone, and
        RequestRefusedError (invalid_request) for a prompt the model cannot take.
        """
        ...


class Engine(PromptRunner, Protocol):
    """Runs prompts. Cancelling a `generate` aborts its work in the engine."""

    @property
    def alive(self) -> bool:
        """Whether it can run another prompt."""
        ...

    @property
    def stalled_s(self) -> float:
        """For how long it has not come forward although it has prompts; 0.0 if it has none or cannot tell."""
        ...

    async def died(self) -> None:
        """Returns once the engine has died, at once if it has; it need not be asked for anything first."""
        ...

    async def stop(self) -> None:
        """Ends the engine and every process it started. Safe to call twice."""
        ...
