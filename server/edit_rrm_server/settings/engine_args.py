"""`engine_args`: vLLM's own arguments, for what no setting here says. It knows names, not vLLM."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from edit_rrm.errors import SettingsFileError

_NEAR = 3

# What a setting here says already, or what this service decides for its own reasons.
_SET_BY = {
    "model": "model",
    "tokenizer": "model",
    "revision": "model (org/name@revision)",
    "tokenizer_revision": "model (org/name@revision)",
    "dtype": "dtype",
    "max_model_len": "max_model_len",
    "max_num_seqs": "max_num_seqs",
    "tensor_parallel_size": "tensor_parallel_size",
    "pipeline_parallel_size": "pipeline_parallel_size",
    "data_parallel_size": "data_parallel_size",
    "gpu_memory_utilization": "gpu_memory_utilization",
    "kv_cache_memory_bytes": "kv_cache_gib",
    "enforce_eager": "enforce_eager",
    "otlp_traces_endpoint": "otlp_endpoint",
    "mm_processor_cache_gb": "image_cache_gib",
    "enable_lora": "adapter_mode",
    "max_lora_rank": "adapter_mode",
    "max_loras": "adapter_mode",
}


def read_engine_args(value: Any) -> Any:
    """A table as it is; texts in it are read as JSON where they are JSON, else they stay texts.

    Raises ValueError for a name that another setting says.
    """
    if not isinstance(value, Mapping):
        return value
    for name in value:
        setting = _SET_BY.get(str(name).removeprefix("--").replace("-", "_"))
        if setting is not None:
            raise ValueError(f"{name} is set by the setting {setting}")
    return {name: _as_json(given) for name, given in value.items()}


def check_engine_args(given: Iterable[str], known: Iterable[str]) -> None:
    """Raises SettingsFileError for a name that is none of vLLM's, naming those near it."""
    names = sorted(known)
    for name in given:
        if name in names:
            continue
        near = get_close_matches(name.removeprefix("--").replace("-", "_"), names, _NEAR)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `vllm serve --help`, with underscores"
        raise SettingsFileError(f"engine_args: this vLLM has no argument {name!r}; {hint}")


def _as_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
