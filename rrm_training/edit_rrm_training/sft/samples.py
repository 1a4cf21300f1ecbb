"""Samples of SFT: what the model writes by now, greedily, beside what a row teaches."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from datasets import Dataset
from trl.data_utils import prepare_multimodal_messages

from edit_rrm_training.rollouts.growing_cache import growing_caches
from edit_rrm_training.runs.cpu_bfloat16 import weights_in
from edit_rrm_training.runs.logs import Sample

ROWS = 2
_LABELS = ("source", "candidate")


class WritesSamples:
    """The first rows of `rows` (chat prompt, completion, images), asked anew of the model in training.

    Draws no random number. `sharded` weights are not put together for it: then the rows are shown alone.
    """

    def __init__(
        self, rows: Dataset, processor: Any, max_tokens: int, *, bfloat16: bool, sharded: bool
    ) -> None:
        self._rows, self._processor = rows, processor
        self._max_tokens, self._bfloat16, self._sharded = max_tokens, bfloat16, sharded

    def __call__(self, model: Any) -> Sequence[Sample]:
        """The samples."""
        return [
            self._sample(model, number, self._rows[number]) for number in range(min(ROWS, len(self._rows)))
        ]

    def _sample(self, model: Any, number: int, row: dict[str, Any]) -> Sample:
        taught = row["completion"][0]["content"][0]["text"]
        written = None if self._sharded else self._written(model, row)
        return Sample(
            f"row {number + 1}", tuple(row["images"]), _LABELS[: len(row["images"])],
            ({"taught": taught, "written": written},),
        )  # fmt: skip

    def _written(self, model: Any, row: dict[str, Any]) -> str:
        prompt = prepare_multimodal_messages(row["prompt"], images=row["images"])
        inputs = self._processor.apply_chat_template(
            [prompt], tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
        ).to(model.device)
        on_cpu = self._bfloat16 and model.device.type == "cpu"
        lent = weights_in(torch.bfloat16, model) if on_cpu else nullcontext()
        training = model.training
        model.eval()
        try:
            with torch.no_grad(), torch.compiler.set_stance("force_eager"), growing_caches(), lent:
                ids = model.generate(**inputs, do_sample=False, max_new_tokens=self._max_tokens)
        finally:
            model.train(training)
        (text,) = self._processor.batch_decode(
            ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return str(text)
