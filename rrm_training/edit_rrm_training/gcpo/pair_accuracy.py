"""How a GCPO run measures itself: pairwise accuracy of greedy traces, on the validation pairs.

**Ours.** It replaces the trainer's `evaluate`, and draws no random number, so a run with measurements and one
without have the same curve.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import gather_object
from transformers import GenerationConfig
from trl.data_utils import prepare_multimodal_messages

from edit_rrm.intervals import share
from edit_rrm_training.data.trl_rows import PairRows, Row

_SAMPLING = frozenset({"do_sample", "temperature", "top_p", "top_k", "min_p"})


class MeasuresPairAccuracy:
    """A part of GcpoTrainer, which has the rest: TRL's generation and `_score`."""

    _validation: PairRows | None
    accelerator: Any
    args: Any
    callback_handler: Any
    control: Any
    generation_config: Any
    generation_kwargs: Any
    log: Any
    model: Any
    processing_class: Any
    state: Any
    use_vllm: bool
    vllm_generation: Any
    _generate_single_turn: Any
    _score: Any
    _tokenize_prompts: Any

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Pairwise accuracy of greedy traces on the validation pairs; ties and unparsed traces are wrong."""
        self.model.eval()
        preferred, other = self._greedy_scores().unbind(dim=1)  # [pairs] each
        accuracy = share((preferred > other).tolist())
        metrics = {
            f"{metric_key_prefix}_accuracy": accuracy.value,
            f"{metric_key_prefix}_ties": share((preferred == other).tolist()).value,
            f"{metric_key_prefix}_unparsed": share(torch.cat([preferred, other]).isnan().tolist()).value,
            f"{metric_key_prefix}_score_margin": (preferred - other).nanmean().item(),
            f"{metric_key_prefix}_pairs": float(accuracy.total),
        }
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _greedy_scores(self) -> torch.Tensor:
        """Scores of the validation rows, [pairs, 2], on every process; NaN where a trace does not parse."""
        rows = self._validation
        if rows is None:
            raise ValueError("there are no validation pairs")
        found: list[tuple[int, float]] = []
        size = self.args.per_device_eval_batch_size
        with (
            self.accelerator.split_between_processes(list(range(len(rows))), apply_padding=True) as mine,
            self._greedy(),
        ):
            for start in range(0, len(mine), size):
                batch = mine[start : start + size]
                texts = self._complete([rows[index] for index in batch])
                found += [
                    (index, self._score(text, rows.principles(index)))
                    for index, text in zip(batch, texts, strict=True)
                ]
        scores = torch.full((len(rows),), math.nan)
        for index, score in gather_object(found):
            scores[index] = score
        return scores.view(-1, 2)

    def _complete(self, rows: Sequence[Row]) -> list[str]:
        prompts = [prepare_multimodal_messages(row["prompt"], images=row["images"]) for row in rows]
        ids, images, fields = self._tokenize_prompts(prompts)
        completions, _ = self._generate_single_turn(ids, images, fields, 1)
        texts: list[str] = self.processing_class.batch_decode(completions, skip_special_tokens=True)
        return texts

    @contextmanager
    def _greedy(self) -> Iterator[None]:
        """TRL's generation, without its sampling."""
        if self.use_vllm:
            kept = self.vllm_generation.temperature
            self.vllm_generation.temperature = 0.0
            try:
                yield
            finally:
                self.vllm_generation.temperature = kept
            return
        kept, kept_options = self.generation_config, self.generation_kwargs
        options = {name: value for name, value in kept_options.items() if name not in _SAMPLING}
        self.generation_kwargs = {**options, "do_sample": False}
        self.generation_config = GenerationConfig(**self.generation_kwargs, disable_compile=True)
        try:
            yield
        finally:
            self.generation_config, self.generation_kwargs = kept, kept_options
