"""How long to wait before trying again: numbers to check by hand."""

from datetime import UTC, datetime

import pytest

from edit_rrm.backoff import Backoff, parse_retry_after

BACKOFF = Backoff(initial_s=1.0, max_s=8.0)


def test_the_ceiling_doubles_with_every_failure_and_never_overflows() -> None:
    assert [BACKOFF.ceiling_s(failures) for failures in (0, 1, 2, 3, 4, 5, 5000)] == [1, 1, 2, 4, 8, 8, 8]
    assert Backoff(0.0, 60.0).ceiling_s(9) == 0.0


def test_half_of_a_wait_is_drawn_and_a_retry_after_is_waited_for_before_it() -> None:
    assert BACKOFF.wait_s(3, None, 0.5) == 3.0
    assert BACKOFF.wait_s(3, 30.0, 0.5) == 31.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)) == seconds
