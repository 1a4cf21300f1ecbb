"""`batch_invariant`: passed on to vLLM where it has the kernels, refused in one line where it has none."""

import importlib.util
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edit_rrm_server.engines.vllm import start
from edit_rrm_server.engines.vllm.batch_invariance import VARIABLE, ask_for_batch_invariance
from edit_rrm_server.errors import EngineStartError
from edit_rrm_server.process.cli import app
from edit_rrm_server.settings.server import ServerSettings


def source_of(*path: str) -> str:
    """A file of the vLLM that is installed, without importing it."""
    spec = importlib.util.find_spec("vllm")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path).read_text(encoding="utf-8")


def test_where_vllm_has_it_its_variable_is_set_over_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    ask_for_batch_invariance(cpu_build=False)
    assert os.environ[VARIABLE] == "1"


def test_on_a_cpu_the_start_ends_in_one_line_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(start, "is_cpu_build", lambda: True)
    with pytest.raises(EngineStartError, match="batch_invariant: vLLM has the kernels for it on GPUs only"):
        start.prepare_environment(ServerSettings(batch_invariant=True))
    ended = CliRunner().invoke(app, ["serve", "--set", "batch_invariant=true"])
    assert ended.exit_code == 2
    assert "on GPUs only" in " ".join(ended.output.replace("│", " ").split())
    assert VARIABLE not in os.environ


def test_this_vllm_reads_the_variable_and_has_no_attention_for_cpus_that_supports_it() -> None:
    """What the refusal rests on: if the second of these fails, CPUs have learned it."""
    assert f'"{VARIABLE}": lambda: bool(int(' in source_of("envs.py")
    assert "supports_batch_invariance" in source_of("v1", "attention", "backends", "flash_attn.py")
    assert "supports_batch_invariance" not in source_of("v1", "attention", "backends", "cpu_attn.py")
