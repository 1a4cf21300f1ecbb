"""The table of vLLM's errors, walked with the exception classes of the vLLM that is installed."""

import importlib
import inspect
from http import HTTPStatus
from typing import Any, get_args

import pytest

from edit_rrm_server.engines.engine import FinishReason
from edit_rrm_server.engines.vllm.errors import CODES, FINISH_CODES, finish_error, full_name, service_error
from edit_rrm_server.http.problems import KINDS

# Classes whose constructors want more than a message.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "vllm.exceptions.LoRAAdapterNotFoundError": ("adapter", "/nowhere"),
    "vllm.exceptions.GracefulHTTPError": ("not now", HTTPStatus.SERVICE_UNAVAILABLE),
    "vllm.exceptions.QueueOverflowError": (),
    "vllm.exceptions.MaxQueuedTokensError": (),
    "vllm.v1.engine.exceptions.EngineDeadError": (),
    "zmq.error.ZMQError": (),
}


def made(name: str) -> Exception:
    module, kind = name.rsplit(".", 1)
    error = getattr(importlib.import_module(module), kind)(*ARGUMENTS.get(name, ("of no use",)))
    assert isinstance(error, Exception)
    return error


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_class_exists_under_its_name_and_has_its_code(name: str, code: str) -> None:
    error = made(name)
    assert full_name(type(error)) == name
    found = service_error(error)
    assert found.code == code
    assert found.code in KINDS


@pytest.mark.parametrize("module", ["vllm.exceptions", "vllm.v1.engine.exceptions"])
def test_every_exception_vllm_defines_for_its_callers_is_in_the_table(module: str) -> None:
    found = importlib.import_module(module)
    defined = {
        full_name(kind)
        for _, kind in inspect.getmembers(found, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module
    }
    assert defined
    assert defined <= CODES.keys()


@pytest.mark.parametrize("name", CODES)
def test_what_vllm_wraps_has_the_code_of_its_cause(name: str) -> None:
    wrapped = made("vllm.v1.engine.exceptions.EngineGenerateError")
    wrapped.__cause__ = made(name)
    assert service_error(wrapped).code == CODES[name]


def test_every_way_to_end_a_prompt_is_a_completion_or_in_the_table() -> None:
    reasons = importlib.import_module("vllm.v1.engine").FINISH_REASON_STRINGS
    failures = set(reasons) - set(get_args(FinishReason))
    assert failures | {None} == set(FINISH_CODES)
    assert {reason: finish_error(reason).code for reason in FINISH_CODES} == dict(FINISH_CODES)
