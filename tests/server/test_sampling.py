"""Seeds, temperatures and budgets of samples and attempts."""

import msgspec
import pytest

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm.judges.judge import AskKind
from edit_rrm.wire import Sampling
from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.scoring.sampling import (
    ATTEMPT_SEED_STEP,
    Attempts,
    ask_sampling,
    sample_seed,
    sampling_of,
)

DEFAULTS = SamplingDefaults(temperature=0.5, top_p=0.9, seed=7, max_tokens=100)
NOTHING = Sampling()


def test_what_the_caller_leaves_out_is_the_checkpoints() -> None:
    assert sampling_of(DEFAULTS, NOTHING) == SamplingSettings(0.5, 0.9, 7, 100)
    assert sampling_of(DEFAULTS, Sampling(temperature=0.0, seed=0)) == SamplingSettings(0.0, 0.9, 0, 100)


def test_the_caller_goes_before_the_ask_that_before_the_judge_and_that_before_the_checkpoint() -> None:
    kind = AskKind("scores", Sampling(top_k=20, max_tokens=512))
    judge = Sampling(temperature=0.7, top_k=5, seed=3)
    found = ask_sampling(kind, Sampling(seed=1), judge, DEFAULTS, structured=True)
    assert found == SamplingSettings(0.7, 0.9, 1, 512, top_k=20)


@pytest.mark.parametrize("wanted", [2**31, 2**64, 10**40])
def test_more_tokens_than_any_vocabulary_has_are_all_and_a_number_that_engines_hold(wanted: int) -> None:
    """vLLM's messages to its engine hold 64 bits: it ended such a prompt with an OverflowError."""
    settings = sampling_of(DEFAULTS, Sampling(top_k=wanted))
    assert settings.top_k == 2**31 - 1
    assert sampling_of(DEFAULTS, Sampling(top_k=2**31 - 1)) == settings
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(settings.top_k)) == settings.top_k


def test_an_answer_of_one_token_is_greedy_whatever_is_asked_for() -> None:
    kind = AskKind("digit", one_token=True)
    found = ask_sampling(
        kind, Sampling(temperature=1.0, max_tokens=64), Sampling(), DEFAULTS, structured=True
    )
    assert (found.temperature, found.max_tokens) == (0.0, 1)


def test_a_form_is_held_to_only_where_the_service_may() -> None:
    kind = AskKind("scores", json_schema="{}")
    schemas = [
        ask_sampling(kind, NOTHING, Sampling(), DEFAULTS, structured=on).json_schema for on in (True, False)
    ]
    assert schemas == ["{}", None]


def test_every_sample_and_attempt_has_a_seed_of_its_own() -> None:
    attempts, base = Attempts(retries=5, retry_temperature=0.3), sampling_of(DEFAULTS, NOTHING)
    seeds = []
    for sample in range(32):
        settings = sample_seed(base, sample)
        for _ in range(6):
            seeds.append(settings.seed)
            settings = attempts.redrawn(settings)
    assert len(set(seeds)) == 32 * 6
    assert seeds[:2] == [7, 7 + ATTEMPT_SEED_STEP]


def test_only_further_attempts_are_warmed() -> None:
    attempts = Attempts(retries=1, retry_temperature=0.3)
    for temperature, expected in ((0.0, 0.3), (0.2, 0.3), (1.0, 1.0)):
        assert attempts.redrawn(SamplingSettings(temperature, 1.0, 0, 8)).temperature == expected


def test_seeds_stay_in_the_range_the_api_takes() -> None:
    settings = sample_seed(sampling_of(DEFAULTS, Sampling(seed=2**31 - 1)), 31)
    for _ in range(6):
        assert 0 <= settings.seed < 2**31
        settings = Attempts(5, 0.3).redrawn(settings)


def test_a_longer_budget_is_the_same_draw_and_ends_with_the_models_length() -> None:
    settings = SamplingSettings(0.7, 0.9, 5, 100, top_k=3)
    assert Attempts(1, 0.3).longer(settings, 50) == SamplingSettings(0.7, 0.9, 5, 400, top_k=3)
    short = Attempts(1, 0.3, max_model_len=400)
    assert short.longer(settings, prompt_tokens=150) == SamplingSettings(0.7, 0.9, 5, 250, top_k=3)
    assert short.longer(settings, prompt_tokens=300) is None
