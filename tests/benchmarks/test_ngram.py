"""The arithmetic of benchmarks/ngram.py, by hand."""

import pytest
from ngram import Run, accepted_share, equal_share, times_faster

PLAIN = [Run(2.0, 10, ("a", "b")), Run(3.0, 10, ("c", "d")), Run(8.0, 10, ("e", "f"))]
GUESSED = [Run(1.0, 10, ("a", "b")), Run(2.0, 10, ("c", "x")), Run(8.0, 10, ("e", "f"))]


def test_ratios_are_taken_within_a_repetition() -> None:
    assert times_faster(PLAIN, GUESSED) == 1.5  # of 2, 1.5 and 1


def test_the_share_of_equal_traces_is_over_all_of_them() -> None:
    assert equal_share(PLAIN, GUESSED) == pytest.approx(5 / 6)


def test_the_share_of_right_guesses_is_read_from_the_service_s_metrics() -> None:
    metrics = (
        "# TYPE vllm:spec_decode_num_draft_tokens counter\n"
        'vllm:spec_decode_num_draft_tokens_total{engine="0"} 80.0\n'
        'vllm:spec_decode_num_accepted_tokens_total{engine="0"} 20.0\n'
        'vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="0"} 15.0\n'
    )
    assert accepted_share(metrics) == 0.25
    with pytest.raises(RuntimeError, match="speculation is not on"):
        accepted_share("vllm:num_requests_running 0.0\n")
