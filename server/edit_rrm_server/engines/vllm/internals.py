"""The one place that touches names which vLLM does not promise to keep (seen in 0.31)."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def tokenizer_of(llm: Any) -> Any:
    """The tokenizer an AsyncLLM renders prompts with."""
    return llm.renderer.tokenizer


def engine_processes(llm: Any) -> list[Any]:
    """The processes vLLM started for its engine cores."""
    manager = llm.engine_core.resources.engine_manager
    processes: list[Any] = [] if manager is None else manager.processes  # another process may have them
    return processes


@contextmanager
def launched_engine(config: Any, clients: int) -> Iterator[tuple[Any, Sequence[Mapping[str, Any]]]]:
    """Starts the engine cores for so many clients in other processes, and where each client meets them.

    The clients are to be started inside the block, which ends once the cores are up.
    """
    from vllm.v1.engine.utils import get_engine_zmq_addresses, launch_core_engines
    from vllm.v1.executor.abstract import Executor

    config.parallel_config._api_process_count = clients
    config.parallel_config._api_process_rank = -1
    addresses = get_engine_zmq_addresses(config, clients)
    with launch_core_engines(config, Executor.get_class(config), True, addresses) as launch:
        coordinator = launch.coordinator
        stats = None if coordinator is None else coordinator.get_stats_publish_address()
        yield (
            launch,
            [
                {"input_address": into, "output_address": out, "stats_update_address": stats}
                for into, out in zip(addresses.inputs, addresses.outputs, strict=True)
            ],
        )


def config_of_client(config: Any, place: int) -> Any:
    """The configuration of one of an engine's clients."""
    own = copy.copy(config)
    own.parallel_config = copy.copy(config.parallel_config)
    own.parallel_config._api_process_rank = place
    return own


def launched_processes(launch: Any) -> list[Any]:
    """The processes of `launched_engine`'s cores."""
    processes: list[Any] = launch.engine_manager.processes
    return processes


def shut_down_launched(launch: Any, timeout_s: float) -> None:
    """Ends them."""
    launch.engine_manager.shutdown(timeout=timeout_s)
    if launch.coordinator is not None:
        launch.coordinator.shutdown(timeout=timeout_s)


def tokenizer_from(config: Any) -> Any:
    """The tokenizer that a client with this configuration renders prompts with."""
    from vllm.tokenizers import cached_tokenizer_from_config

    return cached_tokenizer_from_config(config.model_config)


def tell_of_steps(llm: Any, ended: Callable[[int], None]) -> None:
    """Has `ended` told the rank whenever the engine has answered a step, on the event loop that reads it."""
    core = llm.engine_core
    read = core.get_output_async

    async def told() -> Any:
        outputs = await read()
        ended(outputs.engine_index)
        return outputs

    core.get_output_async = told


def output_handler(llm: Any) -> Any | None:
    """The task that reads the engine's answers; None before the first prompt."""
    return llm.output_handler


def processor_template(llm: Any) -> str | None:
    """The chat template of checkpoints that keep it with their processor."""
    from vllm.transformers_utils.processor import cached_processor_from_config

    template: str | None = cached_processor_from_config(llm.model_config).chat_template
    return template


def image_text(model_config: Any, number: int) -> str | None:
    """What stands for the image of that number, from 1 on, in the texts of the checkpoint's model class."""
    from vllm.model_executor.model_loader import get_model_cls

    text: str | None = get_model_cls(model_config).get_placeholder_str("image", number)
    return text


async def render(renderer: Any, prompt: Any, *, special_tokens: bool, max_prompt_tokens: int) -> Any:
    """What the engine takes: token ids and processed images. Raises vLLM's errors for too long a text.

    `special_tokens` has the tokenizer add its own. The images count as sent from here on (`forget_images`).
    """
    from vllm.renderers.inputs.preprocess import parse_model_prompt

    parsed = parse_model_prompt(renderer.model_config, prompt)
    parameters = renderer.default_cmpl_tok_params.with_kwargs(
        add_special_tokens=special_tokens, max_length=max_prompt_tokens
    )
    (made,) = await renderer.render_cmpl_async([parsed], parameters)
    return made


def forget_images(renderer: Any, made: Any) -> None:
    """Has the images of a rendered prompt that the engine may never have got be processed and sent again.

    vLLM keeps a list, on this side, of the images that the engine holds, and sends none of them twice.
    """
    cache = renderer.mm_processor_cache
    if cache is None or made["type"] != "multimodal":
        return
    for modality, hashes in made["mm_hashes"].items():
        for name, item in zip(hashes, made["mm_kwargs"][modality], strict=True):
            if item is not None:
                cache.invalidate(name)


def image_spans(made: Any) -> Sequence[tuple[int, int]]:
    """Start and length of each image among a rendered prompt's tokens, in the order of the images."""
    return [(span.offset, span.length) for span in made["mm_placeholders"]["image"]]


def image_brightness(made: Any) -> list[float | None]:
    """The mean of what the processor made of each image's pixels; None for one the engine has already."""
    return [
        None if item is None else float(item["pixel_values"].data.float().mean())
        for item in made["mm_kwargs"]["image"]
    ]


def sharing(config: Any) -> str:
    """How vLLM shares the beginnings of this model's prompts, in words."""
    cache, model = config.cache_config, config.model_config
    if not cache.enable_prefix_caching:
        return "vLLM shares no prefixes of this model"
    kind = "a hybrid of attention and state" if model.is_hybrid else "attention in every layer"
    return f"{kind}, shared in blocks of {cache.block_size} tokens"


def ends_thoughts(llm: Any) -> bool:
    """Whether the engine ends a thought at its budget of tokens."""
    config = llm.vllm_config.reasoning_config
    return config is not None and config.enabled


def speculates(llm: Any) -> bool:
    """Whether the engine guesses tokens and checks them (`engine_args.speculative_config`)."""
    return llm.vllm_config.speculative_config is not None


def sequences_of(config: Any) -> int:
    """How many sequences all its engine cores together run in one step."""
    return int(config.scheduler_config.max_num_seqs * ranks_of(config))


def ranks_of(config: Any) -> int:
    """How many engine cores there are: whole copies of the model."""
    return int(config.parallel_config.data_parallel_size)


def steps_of(config: Any) -> str:
    """What one step of the engine takes, in words."""
    scheduler, ranks = config.scheduler_config, ranks_of(config)
    compiled = "without compiled graphs" if config.model_config.enforce_eager else "compiled graphs"
    copies = f", {ranks} copies of the model" if ranks > 1 else ""
    return (
        f"{scheduler.max_num_seqs} sequences and {scheduler.max_num_batched_tokens} tokens a step, "
        f"{compiled}{copies}"
    )


def lora_request(name: str, number: int, directory: Path) -> Any:
    """What names an adapter with a prompt: vLLM tells them by `number`, from 1 on, their prefixes by name."""
    from vllm.lora.request import LoRARequest

    return LoRARequest(name, number, str(directory))


def start_processes_from_forkserver() -> None:
    """vLLM reads this name on every start of a process, and on CPUs has just set it to "spawn"."""
    import vllm.envs

    vllm.envs.environment_variables["VLLM_WORKER_MULTIPROC_METHOD"] = lambda: "forkserver"
