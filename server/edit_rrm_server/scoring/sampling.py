"""How completions are sampled: the checkpoint's defaults, the caller's wishes, a seed per sample and attempt.

Each sample is a prompt of its own with seed + index rather than one prompt with vLLM's `n`: the
prompt is found in the prefix cache either way, every job counts in the window for what it is, and the
samples of a call stay the same whatever else runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm.wire import Sampling
from edit_rrm_server.engines.engine import SamplingSettings

# Attempts and samples sampling from disjoint seeds: a call has at most 32 samples.
ATTEMPT_SEED_STEP = 1_000_003
_SEED_SPAN = 2**31


def sampling_of(wanted: Sampling, defaults: SamplingDefaults) -> SamplingSettings:
    """The caller's settings, each absent one from the checkpoint."""
    return SamplingSettings(
        temperature=defaults.temperature if wanted.temperature is None else wanted.temperature,
        top_p=defaults.top_p if wanted.top_p is None else wanted.top_p,
        seed=defaults.seed if wanted.seed is None else wanted.seed,
        max_tokens=defaults.max_tokens if wanted.max_tokens is None else wanted.max_tokens,
    )


def distinct_samples(base: SamplingSettings, samples: int) -> int:
    """How many of a candidate's samples differ: greedy ones are one trace, run once."""
    return 1 if base.temperature == 0.0 else samples


@dataclass(frozen=True)
class Attempts:
    """How often a text that cannot be used is drawn again.

    A further attempt takes another seed and at least `retry_temperature`: greedy would repeat itself.
    """

    retries: int
    retry_temperature: float

    def settings(self, base: SamplingSettings, sample: int = 0) -> Iterator[SamplingSettings]:
        """The settings of each attempt at one sample, the first one first."""
        for attempt in range(1 + self.retries):
            seed = (base.seed + sample + attempt * ATTEMPT_SEED_STEP) % _SEED_SPAN
            temperature = max(base.temperature, self.retry_temperature) if attempt else base.temperature
            yield replace(base, seed=seed, temperature=temperature)
