"""The table of vLLM's errors, with classes that look like vLLM's; tests/e2e walks it with the real ones."""

import pytest

from edit_rrm_server.engines.vllm.errors import CODES, FINISH_CODES, finish_error, service_error
from edit_rrm_server.errors import EngineError, QueueFullError, RequestRefusedError, UnavailableError
from edit_rrm_server.http.problems import KINDS


def kind(full_name: str, *bases: type[Exception]) -> type[Exception]:
    module, name = full_name.rsplit(".", 1)
    return type(name, bases or (Exception,), {"__module__": module})


CLIENT = kind("vllm.exceptions.VLLMClientError")
WRAPPER = kind("vllm.v1.engine.exceptions.EngineGenerateError")


@pytest.mark.parametrize(
    ("error", "of_type", "code"),
    [
        (kind("vllm.v1.engine.exceptions.EngineDeadError")("gone"), UnavailableError, "engine_dead"),
        (kind("zmq.error.ZMQError")("not a socket"), UnavailableError, "engine_dead"),
        (CLIENT("3000 tokens"), RequestRefusedError, "invalid_request"),
        (ValueError("no such image"), RequestRefusedError, "invalid_request"),
        (kind("vllm.exceptions.QueueOverflowError")("busy"), QueueFullError, "queue_full"),
        (WRAPPER("what"), EngineError, "engine_failed"),
        (TimeoutError("too long"), EngineError, "engine_failed"),
        (KeyError("a defect"), EngineError, "engine_failed"),
    ],
)
def test_an_error_has_one_type_and_code(error: Exception, of_type: type[Exception], code: str) -> None:
    found = service_error(error)
    assert (type(found), found.code) == (of_type, code)


def test_a_class_the_table_does_not_know_is_judged_by_its_nearest_base() -> None:
    assert service_error(kind("vllm.new.TooManyFramesError", CLIENT)("24 frames")).code == "invalid_request"
    assert service_error(kind("vllm.new.OddError", CLIENT, ValueError)("odd")).code == "invalid_request"
    assert service_error(kind("vllm.new.OddError", KeyError)("odd")).code == "engine_failed"


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (ValueError("the image has no pixels"), "invalid_request"),
        (kind("zmq.error.ZMQError")("closed"), "engine_dead"),
        (RuntimeError("no placeholder found"), "engine_failed"),
    ],
)
def test_what_vllm_wraps_is_judged_by_its_cause(cause: Exception, code: str) -> None:
    wrapped = WRAPPER()
    wrapped.__cause__ = cause
    assert service_error(wrapped).code == code


def test_refusals_say_why_and_failures_show_nothing_of_the_prompt() -> None:
    assert "3000 tokens" in service_error(CLIENT("3000 tokens")).detail
    assert "a secret wish" not in service_error(RuntimeError("a secret wish")).detail


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("abort", "engine_dead"),
        ("error", "engine_failed"),
        ("repetition", "engine_failed"),
        (None, "engine_failed"),
        ("of a later version", "engine_failed"),
    ],
)
def test_how_a_prompt_ended(reason: str | None, code: str) -> None:
    assert finish_error(reason).code == code


def test_every_code_of_the_tables_is_one_of_the_api() -> None:
    assert {*CODES.values(), *FINISH_CODES.values()} <= KINDS.keys()
