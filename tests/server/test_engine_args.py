"""`engine_args`: from file, environment and command line; refused where a setting says it, or unknown."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edit_rrm.errors import SettingsFileError
from edit_rrm_server.engines.vllm import start
from edit_rrm_server.engines.vllm.start import _declares_long_context, engine_arguments
from edit_rrm_server.settings.engine_args import check_engine_args
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings, load_settings

KNOWN = (
    "quantization",
    "kv_cache_dtype",
    "trust_remote_code",
    "max_num_batched_tokens",
    "limit_mm_per_prompt",
)


def test_they_come_from_file_environment_and_command_line_and_reach_vllm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        "[engine_args]\nquantization = 'fp8'\nkv_cache_dtype = 'fp8'\nseed = 1\n"
        "[engine_args.speculative_config]\nmethod = 'ngram'\n"
    )
    monkeypatch.setenv("EDIT_RRM_ENGINE_ARGS__SEED", "2")
    monkeypatch.setenv("EDIT_RRM_ENGINE_ARGS__KV_CACHE_DTYPE", "auto")
    settings = load_settings(
        {"engine_args.max_num_batched_tokens": "4096", "engine_args.trust_remote_code": "true",
         "engine_args.kv_cache_dtype": "fp8_e5m2"},
        file,
    )  # fmt: skip
    assert settings.engine_args == {
        "quantization": "fp8", "speculative_config": {"method": "ngram"}, "seed": 2,
        "kv_cache_dtype": "fp8_e5m2", "max_num_batched_tokens": 4096, "trust_remote_code": True,
    }  # fmt: skip
    assert engine_arguments(settings).items() >= settings.engine_args.items()


def test_a_variable_of_json_goes_before_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"engine_args": {"quantization": "awq", "seed": 1}}')
    monkeypatch.setenv(
        "EDIT_RRM_ENGINE_ARGS", '{"quantization": "fp8", "mm_processor_kwargs": {"max_pixels": 9}}'
    )
    settings = load_settings({"engine_args.seed": "3"}, file)
    assert settings.engine_args == {
        "quantization": "fp8",
        "mm_processor_kwargs": {"max_pixels": 9},
        "seed": 3,
    }


def test_a_variable_into_a_table_leaves_the_rest_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "settings.toml"
    name, other = ("no_edit_change", "blank_range")
    file.write_text("[engine_args]\nseed = 7\n[guards]\n")
    defaults = ServerSettings().guards.model_dump()
    changed = {name: _changed(defaults[name]), other: _changed(defaults[other])}
    file.write_text(f"[guards]\n{name} = {str(changed[name]).lower()}\n")
    monkeypatch.setenv(f"EDIT_RRM_GUARDS__{other.upper()}", str(changed[other]))
    assert load_settings({}, file).guards.model_dump() == defaults | changed


def _changed(value: Any) -> Any:
    return (not value) if isinstance(value, bool) else value / 2


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("dtype", "dtype"), ("max_model_len", "max_model_len"), ("max-model-len", "max_model_len"),
        ("--tensor-parallel-size", "tensor_parallel_size"), ("kv_cache_memory_bytes", "kv_cache_gib"),
        ("mm_processor_cache_gb", "image_cache_gib"), ("model", "model"), ("revision", "model"),
        ("otlp_traces_endpoint", "otlp_endpoint"), ("enable_lora", "adapter_mode"),
    ],
)  # fmt: skip
def test_what_a_setting_says_is_said_by_it(name: str, setting: str) -> None:
    with pytest.raises(ValidationError, match=f"engine_args\n.*{name} is set by the setting {setting}"):
        ServerSettings(engine_args={name: "1"})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quantisation", "no argument 'quantisation'; did you mean quantization"),
        ("kv-cache-dtype", "did you mean kv_cache_dtype"),
        ("--trust-remote-code", "did you mean trust_remote_code"),
        ("zzz", "see `vllm serve --help`"),
    ],
)
def test_a_name_that_vllm_does_not_know_is_refused_with_those_near_it(name: str, said: str) -> None:
    check_engine_args(KNOWN, KNOWN)
    with pytest.raises(SettingsFileError, match=said):
        check_engine_args([name], KNOWN)


def test_with_a_fleet_they_have_no_effect() -> None:
    with pytest.raises(
        ValidationError, match="adapter_mode, base, engine_args: no effect with engine=openai"
    ):
        ServerSettings(
            engine="openai", upstreams="http://a/v1", engine_args={"seed": 1}, base="a/b", adapter_mode="lora"
        )


def test_on_a_gpu_steps_are_as_large_as_a_vllm_servers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_arguments(ServerSettings())["max_num_seqs"] == 64
    monkeypatch.setattr(start, "is_cpu_build", lambda: False)
    arguments = engine_arguments(ServerSettings())
    assert not arguments.keys() & {
        "max_num_seqs",
        "max_num_batched_tokens",
        "kv_cache_memory_bytes",
        "block_size",
    }
    assert engine_arguments(ServerSettings(max_num_seqs=8))["max_num_seqs"] == 8


def test_the_window_follows_from_the_engine_unless_it_is_set() -> None:
    assert ServerSettings().engine_window == 72
    assert ServerSettings().window_for(1024) == 1152
    assert ServerSettings(window=5).window_for(1024) == 5


@pytest.mark.parametrize(
    ("config", "long"),
    [
        ('{"max_position_embeddings": 128000}', True),
        ('{"text_config": {"max_position_embeddings": 262144}}', True),
        ('{"text_config": {"max_position_embeddings": 16384}, "vision_config": {"n_positions": 577}}', False),
        ('{"model_type": "says nothing"}', True),
    ],
)
def test_vllm_is_asked_for_the_context_only_where_it_may_be_long(
    tmp_path: Path, config: str, long: bool
) -> None:
    (tmp_path / "config.json").write_text(config)
    assert _declares_long_context(tmp_path) is long
    assert not _declares_long_context(BUNDLED_MODEL)


@pytest.mark.slow  # vLLM is imported
def test_the_installed_vllm_is_asked_what_it_knows() -> None:
    settings = load_settings({"engine_args.quantisation": "fp8"})
    with pytest.raises(SettingsFileError, match="no argument 'quantisation'; did you mean quantization"):
        start.engine_config(settings)
