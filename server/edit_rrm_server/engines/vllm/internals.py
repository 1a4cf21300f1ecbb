"""The one place that touches names which vLLM does not promise to keep (seen in 0.31)."""

from pathlib import Path
from typing import Any


def tokenizer_of(llm: Any) -> Any:
    """The tokenizer an AsyncLLM renders prompts with."""
    return llm.renderer.tokenizer


def engine_processes(llm: Any) -> list[Any]:
    """The processes vLLM started for its engine cores."""
    processes: list[Any] = llm.engine_core.resources.engine_manager.processes
    return processes


def output_handler(llm: Any) -> Any | None:
    """The task that reads the engine's answers; None before the first prompt."""
    return llm.output_handler


def processor_template(llm: Any) -> str | None:
    """The chat template of checkpoints that keep it with their processor."""
    from vllm.transformers_utils.processor import cached_processor_from_config

    template: str | None = cached_processor_from_config(llm.model_config).chat_template
    return template


def sequences_of(llm: Any) -> int:
    """How many sequences all its engine cores together run in one step."""
    config = llm.vllm_config
    return int(config.scheduler_config.max_num_seqs * config.parallel_config.data_parallel_size)


def lora_request(directory: Path) -> Any:
    """What names the one adapter of an engine with every prompt."""
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, str(directory))


def start_processes_from_forkserver() -> None:
    """vLLM reads this name on every start of a process, and on CPUs has just set it to "spawn"."""
    import vllm.envs

    vllm.envs.environment_variables["VLLM_WORKER_MULTIPROC_METHOD"] = lambda: "forkserver"
