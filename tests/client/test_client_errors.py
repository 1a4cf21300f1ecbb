"""The exception tree: what an error carries, and that it survives the way between processes."""

import pickle

import pytest

from edit_rrm_client import EditRRMClientError, OverloadedError


def test_an_error_says_its_code_and_request() -> None:
    error = OverloadedError("the queue is full", status=429, request_id="abc")
    assert str(error) == "the queue is full [429 queue_full, request abc]"


@pytest.mark.parametrize("error_type", [EditRRMClientError, *EditRRMClientError.__subclasses__()])
def test_errors_survive_pickling_as_trainers_worker_processes_need(
    error_type: type[EditRRMClientError],
) -> None:
    error = error_type("detail", code="c", status=1, request_id="r", retry_after_s=2.0)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is error_type
    assert vars(copy) == vars(error)
