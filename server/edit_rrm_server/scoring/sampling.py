"""How completions are sampled: the caller's wishes, the judge's, the checkpoint's; seeds and attempts.

Each sample is a prompt of its own with seed + index rather than one prompt with vLLM's `n`: the
prompt is found in the prefix cache either way, every job counts in the window for what it is, and the
samples of a call stay the same whatever else runs.
"""

from dataclasses import dataclass, replace

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm.judges.judge import AskKind
from edit_rrm.wire import Sampling
from edit_rrm_server.engines.engine import SamplingSettings

# Attempts and samples draw from disjoint seeds: a call has at most 32 samples.
ATTEMPT_SEED_STEP = 1_000_003
BUDGET_GROWTH = 4
"""A text that was cut off is drawn again with that many times its budget."""
_LARGEST_BUDGET_TOKENS = 16384
_SEED_SPAN = 2**31
_MOST_TOP_K = 2**31 - 1
"""More than any vocabulary has, so all of it; an engine is sent no number that it cannot hold."""


def sampling_of(defaults: SamplingDefaults, *wishes: Sampling) -> SamplingSettings:
    """The settings of the first of `wishes` that has them, else the checkpoint's defaults."""

    def chosen(name: str) -> float | int | None:
        found = (value for wish in wishes if (value := getattr(wish, name)) is not None)
        default: float | int | None = getattr(defaults, name)
        return next(found, default)

    return SamplingSettings(
        temperature=float(chosen("temperature") or 0.0),
        top_p=float(chosen("top_p") or 1.0),
        seed=int(chosen("seed") or 0),
        max_tokens=int(chosen("max_tokens") or 1),
        top_k=min(int(chosen("top_k") or 0), _MOST_TOP_K),
    )


def ask_sampling(
    kind: AskKind,
    wanted: Sampling,
    judge: Sampling,
    defaults: SamplingDefaults,
    *,
    structured: bool,
    thinking_tokens: int = 0,
) -> SamplingSettings:
    """How an ask is drawn. Of an answer of one token only the probabilities count, so it is greedy.

    A thought has tokens of its own beside those of the answer; a grammar would not let it be written.
    """
    settings = sampling_of(defaults, wanted, kind.sampling, judge)
    if kind.one_token:
        return replace(settings, temperature=0.0, max_tokens=1)
    if thinking_tokens:
        budget = settings.max_tokens + thinking_tokens
        return replace(settings, max_tokens=budget, thinking_tokens=thinking_tokens)
    return replace(settings, json_schema=kind.json_schema if structured else None)


@dataclass(frozen=True)
class Attempts:
    """How often a text that cannot be used is asked for again.

    One that does not parse is drawn with another seed and at least `retry_temperature`: greedy would repeat
    itself. One that was cut off is drawn the same way with a larger budget, within the model's length
    (`max_model_len`, None where it is not known).
    """

    retries: int
    retry_temperature: float
    max_model_len: int | None = None

    def redrawn(self, settings: SamplingSettings) -> SamplingSettings:
        """After a text that does not parse."""
        return replace(
            settings,
            seed=(settings.seed + ATTEMPT_SEED_STEP) % _SEED_SPAN,
            temperature=max(settings.temperature, self.retry_temperature),
        )

    def longer(self, settings: SamplingSettings, prompt_tokens: int) -> SamplingSettings | None:
        """After a text that was cut off; None where the model's length leaves no more."""
        room = _LARGEST_BUDGET_TOKENS
        if self.max_model_len is not None:
            room = min(room, self.max_model_len - prompt_tokens)
        budget = min(room, settings.max_tokens * BUDGET_GROWTH)
        return replace(settings, max_tokens=budget) if budget > settings.max_tokens else None


def sample_seed(settings: SamplingSettings, sample: int) -> SamplingSettings:
    """The settings of a sample, counted from 0."""
    return replace(settings, seed=(settings.seed + sample) % _SEED_SPAN)
