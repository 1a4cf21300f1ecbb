"""What vLLM is asked to show of a place: named tokens, or the likeliest where it speculates."""

import pytest

from edit_rrm_server.engines.engine import SamplingSettings
from edit_rrm_server.engines.vllm.parameters import vllm_parameters


@pytest.mark.parametrize(
    ("watched", "speculates", "named", "likeliest"),
    [
        ([7, 9], False, [7, 9], None),
        ([7, 9], True, None, 20),
        ([], False, None, None),
        ([], True, None, None),
    ],
)
def test_an_engine_that_speculates_is_asked_for_its_likeliest_tokens(
    watched: list[int], speculates: bool, named: list[int] | None, likeliest: int | None
) -> None:
    sampling = SamplingSettings(temperature=0.0, top_p=1.0, seed=0, max_tokens=5)
    found = vllm_parameters(sampling, watched, ends_thoughts=False, speculates=speculates)
    assert (found.logprob_token_ids, found.logprobs) == (named, likeliest)
    assert found.max_tokens == 5
