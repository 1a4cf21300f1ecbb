"""What vLLM itself does on the event loop with every token that its engine writes."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

SEQUENCES, STEPS = 64, 200
WATCHED = 4  # the verdict tokens


@dataclass(frozen=True)
class Way:
    """How tokens are asked for: with the watched tokens' log-probabilities, as text, with statistics."""

    logprobs: bool = True
    flat: bool = True
    text: bool = False
    statistics: bool = True


WAYS = {
    "as the service asks": Way(),
    "without vLLM's statistics (engine_args.disable_log_stats)": Way(statistics=False),
    "without log-probabilities": Way(logprobs=False),
    "as `vllm serve` by itself: text, log-probabilities as objects": Way(flat=False, text=True),
}


def handling_ms(way: Way, tokenizer: Any) -> float:
    """Processor milliseconds a written token: decoding the engine's message, vLLM's output processor."""
    from vllm.v1.engine import EngineCoreOutputs
    from vllm.v1.engine.output_processor import OutputProcessor
    from vllm.v1.metrics.stats import IterationStats
    from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

    processor = OutputProcessor(tokenizer, log_stats=way.statistics)
    for number in range(SEQUENCES):
        _add(processor, way, str(number))
    encoder, decoder = MsgpackEncoder(), MsgpackDecoder(EngineCoreOutputs)
    messages = [[bytes(frame) for frame in encoder.encode(_step(way, step))] for step in range(STEPS)]
    started = time.process_time()
    for frames in messages:
        outputs = decoder.decode(frames)
        statistics = IterationStats() if way.statistics else None
        processor.process_outputs(outputs.outputs, outputs.timestamp, statistics)
    return 1e3 * (time.process_time() - started) / (SEQUENCES * STEPS)


def _add(processor: Any, way: Way, name: str) -> None:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine import EngineCoreRequest
    from vllm.v1.engine.output_processor import RequestOutputCollector

    params = SamplingParams(
        max_tokens=4 * STEPS,
        logprob_token_ids=list(range(WATCHED)) if way.logprobs else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
        detokenize=way.text,
        flat_logprobs=way.flat,
    )
    request = EngineCoreRequest(
        request_id=name,
        prompt_token_ids=[1] * 100,
        mm_features=None,
        sampling_params=params,
        pooling_params=None,
        arrival_time=time.time(),
        lora_request=None,
        cache_salt=None,
        data_parallel_rank=None,
        external_req_id=name,
    )
    processor.add_request(request, None, queue=RequestOutputCollector(RequestOutputKind.FINAL_ONLY, name))


def _step(way: Way, step: int) -> Any:
    from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
    from vllm.v1.outputs import LogprobsLists

    shown = LogprobsLists(
        np.arange(WATCHED + 1, dtype=np.int32)[None],
        np.linspace(-3.0, -0.1, WATCHED + 1, dtype=np.float32)[None],
        np.ones(1, dtype=np.int32),
    )
    outputs = [
        EngineCoreOutput(str(number), [100 + step], new_logprobs=shown if way.logprobs else None)
        for number in range(SEQUENCES)
    ]
    return EngineCoreOutputs(outputs=outputs, timestamp=time.monotonic())
