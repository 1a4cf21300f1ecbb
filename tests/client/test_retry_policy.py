"""When the client tries again and how long it waits: numbers to check by hand."""

import pytest

from edit_rrm_client import RetryPolicy

POLICY = RetryPolicy(initial_backoff_s=1.0, max_backoff_s=8.0)


def test_the_wait_doubles_up_to_its_ceiling_and_half_of_it_is_drawn() -> None:
    assert [POLICY.wait_s(failures, None, 0.0) for failures in (1, 2, 3, 4, 5, 500)] == [0.5, 1, 2, 4, 4, 4]
    assert POLICY.wait_s(3, None, 0.5) == 3.0


def test_retry_after_is_waited_for_in_full_even_beyond_the_ceiling() -> None:
    assert POLICY.wait_s(1, 30.0, 0.0) == 30.0
    assert POLICY.wait_s(1, 30.0, 0.5) == 30.25


@pytest.mark.parametrize("options", [{"attempts": 0}, {"max_backoff_s": 0.0}, {"attempt_timeout_s": -1.0}])
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        RetryPolicy(**options)  # type: ignore[arg-type]
