"""Free generation through vLLM's offline engine, in this process."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoProcessor

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm.tokens import Token, TokenReader
from edit_rrm.verdict_probability import VERDICT_TEXTS
from edit_rrm_training.data.samples import Sample, prompt_text


@dataclass(frozen=True)
class Completion:
    """What a checkpoint wrote; without `tokens` its verdicts have no probabilities."""

    text: str
    tokens: Sequence[Token] = ()


class OfflineEngine:
    """vLLM on one checkpoint: float32 on a CPU, the checkpoint's own dtype elsewhere."""

    def __init__(self, checkpoint: Path, *, max_sequences: int = 64, max_tokens: int | None = None) -> None:
        """`max_tokens` bounds prompt and completion together; the checkpoint's own bound without it."""
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from vllm import LLM  # takes half a minute: only when something is generated
        from vllm.platforms import current_platform

        on_cpu: bool = current_platform.is_cpu()
        self._llm: Any = LLM(
            model=str(checkpoint),
            dtype="float32" if on_cpu else "auto",
            max_model_len=max_tokens,
            max_num_seqs=max_sequences,
            limit_mm_per_prompt={"image": 2, "video": 0},
            enable_prefix_caching=True,
            block_size=32 if on_cpu else None,
            enforce_eager=on_cpu,
            seed=0,
            use_tqdm_on_load=False,
        )
        self._processor: Any = AutoProcessor.from_pretrained(checkpoint)
        self._reader = TokenReader(self._processor.tokenizer)

    def complete(self, samples: Sequence[Sample], sampling: SamplingDefaults) -> list[Completion]:
        """One completion a sample, in order; `sample.completion` is not looked at."""
        from vllm import SamplingParams

        prompts = [
            {"prompt": prompt_text(self._processor, s), "multi_modal_data": {"image": list(s.images)}}
            for s in samples
        ]
        parameters = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            max_tokens=sampling.max_tokens,
            logprob_token_ids=list(self._reader.watched_ids(VERDICT_TEXTS)) or None,
        )
        outputs = self._llm.generate(prompts, parameters, use_tqdm=False)
        return [self._completion(output.outputs[0]) for output in outputs]

    def _completion(self, written: Any) -> Completion:
        return Completion(
            written.text, self._reader.tokens(written.text, written.token_ids, written.logprobs)
        )
