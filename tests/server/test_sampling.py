"""Seeds and temperatures of samples and attempts."""

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm.wire import Sampling
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.scoring.sampling import ATTEMPT_SEED_STEP, Attempts, distinct_samples, sampling_of

DEFAULTS = SamplingDefaults(temperature=0.5, top_p=0.9, seed=7, max_tokens=100)


def test_what_the_caller_leaves_out_is_the_checkpoints() -> None:
    assert sampling_of(Sampling(), DEFAULTS) == SamplingSettings(0.5, 0.9, 7, 100)
    assert sampling_of(Sampling(temperature=0.0, seed=0), DEFAULTS) == SamplingSettings(0.0, 0.9, 0, 100)


def test_every_sample_and_attempt_has_a_seed_of_its_own() -> None:
    attempts, base = Attempts(retries=5, retry_temperature=0.3), sampling_of(Sampling(), DEFAULTS)
    seeds = [each.seed for sample in range(32) for each in attempts.settings(base, sample)]
    assert len(set(seeds)) == 32 * 6
    assert seeds[:2] == [7, 7 + ATTEMPT_SEED_STEP]


def test_only_further_attempts_are_warmed() -> None:
    attempts = Attempts(retries=1, retry_temperature=0.3)
    for temperature, expected in ((0.0, [0.0, 0.3]), (0.2, [0.2, 0.3]), (1.0, [1.0, 1.0])):
        base = sampling_of(Sampling(temperature=temperature), DEFAULTS)
        assert [each.temperature for each in attempts.settings(base)] == expected


def test_seeds_stay_in_the_range_the_api_takes() -> None:
    base = sampling_of(Sampling(seed=2**31 - 1), DEFAULTS)
    assert all(0 <= each.seed < 2**31 for each in Attempts(5, 0.3).settings(base, sample=31))


def test_greedy_samples_are_one() -> None:
    assert distinct_samples(sampling_of(Sampling(temperature=0.0), DEFAULTS), 8) == 1
    assert distinct_samples(sampling_of(Sampling(), DEFAULTS), 8) == 8
