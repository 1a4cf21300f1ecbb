"""Settings of the engines: devices are passed on to vLLM, and what the chosen engine ignores is refused."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from edit_rrm_server.engines.vllm.precision import cpu_dtype
from edit_rrm_server.engines.vllm.start import adjust_config, engine_arguments, uses_forkserver
from edit_rrm_server.settings.server import ServerSettings, load_settings

FLEET = {"engine": "openai", "upstreams": "http://a:8000/v1, http://b:8000/v1/,"}


def test_parallel_sizes_reach_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_RRM_TENSOR_PARALLEL_SIZE", "4")
    given = {"pipeline_parallel_size": "2", "data_parallel_size": "3"}
    arguments = engine_arguments(load_settings(given))
    assert arguments["tensor_parallel_size"] == 4
    assert arguments["pipeline_parallel_size"] == 2
    assert arguments["data_parallel_size"] == 3


@pytest.mark.parametrize("name", ["tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"])
def test_several_devices_start_as_vllm_starts_them(name: str) -> None:
    assert not uses_forkserver(ServerSettings(**{name: 2}))
    with pytest.raises(ValidationError):
        ServerSettings(**{name: 0})


def test_every_argument_is_one_that_this_vllm_has() -> None:
    """Without importing vLLM, which takes half a minute: the source of its argument class is read."""
    import importlib.util
    import re

    spec = importlib.util.find_spec("vllm")
    assert spec is not None
    assert spec.origin is not None
    source = (Path(spec.origin).parent / "engine" / "arg_utils.py").read_text()
    fields = set(re.findall(r"^    (\w+): ", source, re.M))
    assert engine_arguments(ServerSettings(otlp_endpoint="http://127.0.0.1:4317")).keys() <= fields


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ({"model_type": "qwen3_vl", "text_config": {"num_hidden_layers": 2}}, "float32"),
        ({"text_config": {"layer_types": ["full_attention", "sliding_attention"]}}, "float32"),
        ({"text_config": {"layer_types": ["linear_attention", "full_attention"]}}, "bfloat16"),
        ({"quantization_config": {"quant_method": "fp8"}}, "bfloat16"),
        ([], "float32"),
    ],
)
def test_a_cpu_serves_in_float32_what_has_kernels_in_it(tmp_path: Path, config: Any, dtype: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert cpu_dtype(tmp_path) == dtype
    assert engine_arguments(ServerSettings(model=tmp_path))["dtype"] in (dtype, "auto")  # auto: on a GPU


@pytest.mark.parametrize(("given", "set_to"), [(0, None), (256, 256), (None, None)])
def test_what_a_group_shares_is_kept_from_its_first_prompt_on(given: int | None, set_to: int | None) -> None:
    """vLLM's own 0 keeps it from the second on: in a group of two a sliding window would share nothing."""
    config = configuration(prefix_cache_retention_interval=given)
    adjust_config(config, ServerSettings(tensor_parallel_size=2))
    assert config.cache_config.prefix_cache_retention_interval == set_to


@pytest.mark.parametrize(
    ("given", "set_to"),
    [
        ("vllm.v1.worker.cpu_worker.CPUWorker", "edit_rrm_server.engines.vllm.cpu_worker.SeededCPUWorker"),
        ("vllm.v1.worker.gpu_worker.Worker", "vllm.v1.worker.gpu_worker.Worker"),
        ("mine.Worker", "mine.Worker"),
    ],
)
def test_cpus_have_the_worker_that_seeds_do_not_end(given: str, set_to: str) -> None:
    config = configuration(worker_cls=given)
    adjust_config(config, ServerSettings(tensor_parallel_size=2))
    assert config.parallel_config.worker_cls == set_to


def test_a_grammar_writes_no_white_space_without_end_unless_the_operator_says_how() -> None:
    config = configuration()
    adjust_config(config, ServerSettings(tensor_parallel_size=2))
    held = config.structured_outputs_config
    assert (held.backend, held.disable_any_whitespace) == ("xgrammar", True)
    own = configuration()
    given = {"structured_outputs_config": {"backend": "guidance"}}
    adjust_config(own, ServerSettings(tensor_parallel_size=2, engine_args=given))
    assert own.structured_outputs_config.backend == "auto"  # as vLLM made it of what was given


def configuration(prefix_cache_retention_interval: int | None = 0, worker_cls: str = "auto") -> Any:
    """The parts of vLLM's configuration that are adjusted."""
    return SimpleNamespace(
        cache_config=SimpleNamespace(prefix_cache_retention_interval=prefix_cache_retention_interval),
        parallel_config=SimpleNamespace(worker_cls=worker_cls, worker_extension_cls=""),
        structured_outputs_config=SimpleNamespace(backend="auto", disable_any_whitespace=False),
    )


def test_what_holds_weights_ends_with_the_service_unless_the_operator_extends_the_worker_himself() -> None:
    config = configuration()
    adjust_config(config, ServerSettings())
    module, _, name = config.parallel_config.worker_extension_cls.rpartition(".")
    assert not vars(getattr(importlib.import_module(module), name)).keys() & {"__init__", "__new__"}
    config.parallel_config.worker_extension_cls = "mine.Extension"
    adjust_config(config, ServerSettings())
    assert config.parallel_config.worker_extension_cls == "mine.Extension"


def test_traces_go_where_the_services_go_and_nowhere_by_default() -> None:
    assert "otlp_traces_endpoint" not in engine_arguments(ServerSettings())
    arguments = engine_arguments(ServerSettings(otlp_endpoint="http://collector:4317"))
    assert arguments["otlp_traces_endpoint"] == "http://collector:4317"


def test_upstreams_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ("http://a:8000/v1", "http://b:8000/v1")
    assert ServerSettings(**FLEET).upstreams == expected
    for name, value in FLEET.items():
        monkeypatch.setenv(f"EDIT_RRM_{name.upper()}", value)
    assert load_settings({}).upstreams == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": "openai"}, "needs upstreams"),
        ({"upstreams": "http://a/v1"}, "upstreams: no effect with engine=vllm"),
        ({"affinity_slack": 3, "upstream_key": "k"}, "affinity_slack, upstream_key: no effect"),
        ({**FLEET, "tensor_parallel_size": 2}, "tensor_parallel_size: no effect with engine=openai"),
        ({**FLEET, "batch_invariant": True}, "batch_invariant: no effect with engine=openai"),
        ({**FLEET, "reload_root": "/", "admin_api_keys": "k"}, "reload_root: no effect with engine=openai"),
        ({**FLEET, "upstreams": "a:8000"}, "expected base URLs"),
        ({**FLEET, "upstreams": "http://a:99999/v1"}, "out of range"),
        ({**FLEET, "upstreams": "http://a/v1,http://a/v1/"}, "named twice"),
        ({**FLEET, "upstreams": "http://me:secret@a/v1"}, "belongs in upstream_key"),
        ({**FLEET, "upstream_key": "two words"}, "expected a key"),
        ({"reload_root": "/"}, "reload_root needs admin_api_keys"),
        ({"admin_api_keys": "k"}, "no effect without reload_root"),
        ({"admin_api_keys": "k", "reload_root": "/no/such/place"}, "reload_root"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        ServerSettings(**changes)
    assert "secret" not in str(caught.value)


def test_admin_keys_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# of the operators\nlighthouse\n")
    settings = ServerSettings(
        admin_api_keys="windmill", admin_api_keys_file=tmp_path / "keys", reload_root=tmp_path
    )
    assert [key.get_secret_value() for key in settings.all_admin_keys] == ["windmill", "lighthouse"]
    assert "windmill" not in repr(settings)
