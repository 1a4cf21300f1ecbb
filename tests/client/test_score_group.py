"""A group's rewards as a list: failures are raised or None, and never a number."""

import logging

import httpx
import numpy as np
import pytest
from scripted_service import Driver, Script, failed, ok, problem, scored, sent_json

from edit_rrm_client import (
    AuthenticationError,
    DeadlineExceededError,
    EditRRMClientError,
    InvalidImageError,
    InvalidRequestError,
    ProtocolError,
    RetryPolicy,
    ScoringFailedError,
    UnavailableError,
)

IMAGE = np.zeros((4, 4, 3), np.uint8)
GROUP = ("make it brighter", IMAGE, [IMAGE, IMAGE, IMAGE])
ONCE = {"retries": RetryPolicy(attempts=1)}


def test_a_group_that_was_scored_is_a_plain_list_in_order(drive: Driver) -> None:
    script = Script(ok(scored(0.1), scored(0.0), scored(0.9)))
    assert drive(script, "score_group", *GROUP, samples=4, guards="off") == [0.1, 0.0, 0.9]
    body = sent_json(script.requests[0])
    assert (body["samples"], body["guards"], body["priority"]) == (4, "off", "training")


def test_a_failed_candidate_is_raised_with_its_code_and_place(drive: Driver) -> None:
    with pytest.raises(ScoringFailedError, match=r"candidates\[1\] was not scored: no score line") as raised:
        drive(Script(ok(scored(0.1), failed(), failed())), "score_group", *GROUP)
    assert (raised.value.code, raised.value.request_id) == ("trace_unparseable", "r1")


def test_none_keeps_the_place_of_what_failed_and_says_so_in_the_log(
    drive: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "edit_rrm_client"):
        script = Script(ok(scored(0.1), failed(), scored(0.0)))
        assert drive(script, "score_group", *GROUP, on_error="none") == [0.1, None, 0.0]
    assert [record.getMessage() for record in caplog.records] == [
        "candidates[1] was not scored: no score line [trace_unparseable, request r1]"
    ]


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (problem(502, "trace_unparseable"), ScoringFailedError),
        (problem(504, "deadline_exceeded"), DeadlineExceededError),
        (httpx.ConnectError("refused"), UnavailableError),
    ],
)
def test_a_call_that_failed_for_a_passing_reason_is_none_for_every_candidate_or_raised(
    drive: Driver, reply: httpx.Response | Exception, error_type: type[EditRRMClientError]
) -> None:
    assert drive(Script(reply), "score_group", *GROUP, on_error="none", options=ONCE) == [None] * 3
    with pytest.raises(error_type):
        drive(Script(reply), "score_group", *GROUP, options=ONCE)


@pytest.mark.parametrize(
    ("reply", "error_type"),
    [
        (problem(401, "missing_key"), AuthenticationError),
        (problem(422, "invalid_request"), InvalidRequestError),
        (httpx.Response(200, text="hello"), ProtocolError),
    ],
)
def test_what_would_fail_for_ever_is_raised_even_where_none_was_asked_for(
    drive: Driver, reply: httpx.Response, error_type: type[EditRRMClientError]
) -> None:
    with pytest.raises(error_type):
        drive(Script(reply), "score_group", *GROUP, on_error="none")


def test_a_wrong_image_or_option_is_raised_before_anything_is_sent(drive: Driver) -> None:
    script = Script()
    with pytest.raises(InvalidImageError):
        drive(script, "score_group", "x", IMAGE, [IMAGE[..., 0]], on_error="none")
    with pytest.raises(InvalidRequestError, match="on_error must be one of raise, none, got 'zero'"):
        drive(script, "score_group", *GROUP, on_error="zero")
    assert script.requests == []
