"""SFT's trainers on TRL's SFTTrainer: completions' mean loss, and (**ours**) a weighted mean.

Who weighs the tokens is not known here: a package registers a weigher (entry point group
`edit_rrm_training.token_weights`, from a processor to a `Weigher`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from edit_rrm_training.runs.training_run import ResumesWeights

IGNORED = -100  # the label of a token that is not learned

Weigher = Callable[[Sequence[int], int], list[float]]
"""From a row's tokens, and how many of them are its prompt's, to a weight a token."""


class WeightedCollator:
    """TRL's collator, with a weight for every token of a batch beside its label."""

    def __init__(self, processor: Any, weigh: Weigher) -> None:
        self._collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
        self._weigh = weigh

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch, `loss_weights` [batch, tokens] in it: 0 where the label is ignored."""
        batch: dict[str, Any] = self._collate(examples)
        weights = torch.zeros(batch["labels"].shape)
        for row, (ids, labels) in enumerate(zip(batch["input_ids"], batch["labels"], strict=True)):
            learned = (labels != IGNORED).nonzero().flatten()
            first, end = int(learned[0]), int(learned[-1]) + 1
            weights[row, :end] = torch.tensor(self._weigh(ids[:end].tolist(), first))
        batch["loss_weights"] = weights
        return batch


class RrmSftTrainer(ResumesWeights, SFTTrainer):  # type: ignore[misc]  # trl is Any here
    """TRL's, with completions' mean loss."""


class WeightedSftTrainer(RrmSftTrainer):
    """Minimises the weighted mean of the tokens' losses, in nats a token."""

    loss_is_scaled_for_ga = True  # by `compute_loss`: the trainer must not divide it again

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The loss of one forward pass; those of an optimiser step count alike, whatever their lengths."""
        weights = inputs.pop("loss_weights")[:, 1:]
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        mode = "train" if model.training else "eval"
        right = (outputs.is_top1.sum() / outputs.label_mask.sum()).item()
        self._metrics[mode]["mean_token_accuracy"].append(right)
        loss = -(outputs.log_probs * weights).sum() / weights.sum()
        return loss / self.current_gradient_accumulation_steps if model.training else loss
