"""An engine that does not start: the cause is found among what vLLM's processes logged."""

from pathlib import Path

import pytest

from edit_rrm_server.engines.vllm import failed_start
from edit_rrm_server.engines.vllm.failed_start import raised, start_error

CORE = """EngineCore failed to start.
Traceback (most recent call last):
  File "core.py", line 1, in run_engine_core
    engine_core = EngineCoreProc(*args, **kwargs)
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
GPU 0 has a total capacity of 23.6 GiB.
"""
WORKERS = """WorkerProc failed to start.
Traceback (most recent call last):
  File "worker.py", line 1, in load
ValueError: weights of another shape
EngineCore failed to start.
Traceback (most recent call last):
  File "core.py", line 1, in run_engine_core
Exception: WorkerProc initialization failed due to an exception in a background process. See stack trace.
"""
ENDED = RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")


@pytest.fixture
def error_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(failed_start, "_error_log", tmp_path / "errors.log")
    return tmp_path / "errors.log"


def test_the_cause_is_told_instead_of_the_place_to_look_for_it(error_log: Path) -> None:
    error_log.write_text(CORE)
    assert start_error(ENDED).detail == (
        "vLLM did not start: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. "
        "GPU 0 has a total capacity of 23.6 GiB."
    )


def test_a_workers_error_goes_before_those_that_point_to_it() -> None:
    assert raised(WORKERS) == ["ValueError: weights of another shape"]


def test_the_first_and_the_last_of_several_are_told() -> None:
    assert raised("\n".join((CORE, WORKERS, CORE.replace("2.00", "3.00")))) == [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. "
        "GPU 0 has a total capacity of 23.6 GiB.",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.00 GiB. "
        "GPU 0 has a total capacity of 23.6 GiB.",
    ]


def test_without_a_log_the_error_itself_is_told(error_log: Path) -> None:
    assert start_error(ValueError("no such dtype")).detail == "vLLM did not start: ValueError: no such dtype"


def test_a_process_that_was_killed_is_told(error_log: Path) -> None:
    error = RuntimeError("Engine core initialization failed. Failed core proc(s): {'EngineCore_DP0': -9}")
    assert "EngineCore_DP0 was killed (signal 9)" in start_error(error).detail


def test_what_an_earlier_engine_logged_is_forgotten(error_log: Path) -> None:
    error_log.write_text(CORE)
    failed_start.forget_errors()
    assert "OutOfMemory" not in start_error(ENDED).detail


def test_an_operators_own_logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_start, "_error_log", None)
    monkeypatch.setenv("VLLM_LOGGING_CONFIG_PATH", "/own.json")
    failed_start.log_errors_to_file()
    assert failed_start._error_log is None
