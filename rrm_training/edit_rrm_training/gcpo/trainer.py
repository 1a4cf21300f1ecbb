"""GCPO (docs/paper.md, Stage 2) as a subclass of TRL's GRPOTrainer: the policy is the RRM, an action a trace.

Two things differ from GRPO, and they are overridden: which rows make up a rollout (whole pairs, N traces
an image) and what a trace earns (credit/win_ratio.py). TRL does the rest:

- `scale_rewards="none"` makes an advantage the reward less the mean of its own N traces, undivided.
- `loss_type="grpo"` is the paper's loss: the clipped surrogate averaged over the tokens of each trace, then
  over the traces, (1/2N) Σ_i (1/L_i) Σ_t. TRL's default "dapo" divides by all tokens of the batch, "dr_grpo"
  by a constant, and both let a longer trace weigh more.
- A KL to the base is optional (`beta`), as in the paper.

**Ours**, on request: `credit="all_scores"` draws no score: it learns from the expectation over all of them
(credit/all_scores.py), and a KL is then of the evidence.

**Ours**: accuracy during training is pairwise, of greedy traces (pair_accuracy.py). An update reads few
traces without advantage (update/zero_advantage.py) and, on request, each prompt once
(update/shared_prompts.py); both leave the gradient as it is.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import torch
from accelerate.utils import gather
from peft import PeftModel
from torch.utils.data import Sampler
from trl import GRPOTrainer

from edit_rrm.errors import TraceError
from edit_rrm.principles import Principle
from edit_rrm.prompts import PromptProfile
from edit_rrm_training.data.trl_rows import PairRows, Row
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo.credit.all_scores import EvidenceRows, judge_all_scores
from edit_rrm_training.gcpo.credit.score_tokens import states_score
from edit_rrm_training.gcpo.credit.score_tree import score_tree
from edit_rrm_training.gcpo.credit.win_ratio import report, win_ratios
from edit_rrm_training.gcpo.pair_accuracy import MeasuresPairAccuracy
from edit_rrm_training.gcpo.pair_sampler import PairSampler
from edit_rrm_training.gcpo.samples import pair_samples
from edit_rrm_training.gcpo.update.shared_prompts import Layout, check_model, pack_batches, unshuffled_traces
from edit_rrm_training.gcpo.update.zero_advantage import has_advantage, keep_groups
from edit_rrm_training.rollouts.growing_cache import growing_caches
from edit_rrm_training.rollouts.preprocessed_once import RolloutImages, preprocessed_once, stacked
from edit_rrm_training.rollouts.vllm_prompts import with_one_token_an_image
from edit_rrm_training.rollouts.vllm_weights import hand_over_safely
from edit_rrm_training.runs.cpu_bfloat16 import weights_in
from edit_rrm_training.runs.logs import Sample
from edit_rrm_training.runs.settings import Credit
from edit_rrm_training.runs.training_run import ResumesWeights

_STARTS = "score_starts"


def contrastive_reward(**_: Any) -> list[float]:
    """Names the reward in TRL's logs. It takes both groups of a pair, which TRL's reward functions need not
    be given together: `GcpoTrainer._calculate_rewards` computes it."""
    raise NotImplementedError("computed by GcpoTrainer._calculate_rewards")


class GcpoTrainer(MeasuresPairAccuracy, ResumesWeights, GRPOTrainer):  # type: ignore[misc]  # trl is Any here
    """See the module. The rollout of all processes, `args.generation_batch_size`, is a multiple of 2N."""

    _tag_names = ("trl", "gcpo")
    _name = "GCPO"

    def __init__(
        self,
        model: Any,
        rows: PairRows,
        validation: PairRows | None,
        profile: PromptProfile,
        *,
        share_prompts: bool = False,
        credit: Credit = "trace",
        evidence_kl: float = 0.0,
        **options: Any,
    ) -> None:
        if share_prompts:
            check_model(model)
        self._share_prompts = share_prompts
        self._credit = credit
        self._evidence_kl = evidence_kl
        if credit == "all_scores":
            tokenizer = options["processing_class"].tokenizer
            self._tree = score_tree(lambda text: tokenizer.encode(text, add_special_tokens=False))
        self._profile = profile
        self._rows = rows
        self._images: RolloutImages | None = None  # of the rollout that is being made
        self.samples: list[Sample] = []
        """Of the last rollout, its first pair."""
        self._validation = validation
        super().__init__(
            model,
            reward_funcs=[contrastive_reward],
            train_dataset=rows.dataset(),
            eval_dataset=None if validation is None else validation.dataset(),
            **options,
        )
        if share_prompts and self.aux_loss_enabled:
            raise SettingsError("share_prompts: a router's loss would count the tokens of packed rows")
        if self.use_vllm:
            hand_over_safely(self.vllm_generation)
        pair_traces = 2 * self.num_generations
        if self.args.generation_batch_size % pair_traces:
            raise ValueError(
                f"generation_batch_size ({self.args.generation_batch_size}) must be divisible by "
                f"2 × num_generations ({pair_traces}): a rollout is made of whole pairs"
            )

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        return PairSampler(
            len(self._rows.pairs),
            traces=self.num_generations,
            pairs_per_rollout=self.args.generation_batch_size // (2 * self.num_generations),
            repeats=self.num_iterations * self.args.steps_per_generation,
            seed=self.args.seed,
        )

    def _calculate_rewards(
        self,
        inputs: Sequence[Row],
        prompts: Any,
        completions: Sequence[Sequence[dict[str, str]]],
        completion_ids_list: Sequence[Sequence[int]],
    ) -> torch.Tensor:
        """Win and loss ratios of the whole rollout, [traces of all processes, 1]."""
        stated = [
            (self._score(completion[0]["content"], row["principles"]), len(ids))
            for completion, row, ids in zip(completions, inputs, completion_ids_list, strict=True)
        ]
        gathered = gather(torch.tensor(stated, device=self.accelerator.device))  # [traces, 2]
        scores, lengths = gathered.view(-1, 2, self.num_generations, 2).unbind(dim=-1)
        for name, value in asdict(report(scores, lengths)).items():
            self._metrics["train"][f"gcpo/{name}"].append(value)
        if self.accelerator.is_main_process:  # whose rows come first
            self.samples = pair_samples(inputs, [each[0]["content"] for each in completions], scores[0].cpu())
        return win_ratios(scores).view(-1, 1)

    def _generate_and_score_completions(self, inputs: Sequence[Row]) -> Any:
        with preprocessed_once(self.processing_class, self.accelerator.device) as self._images:
            output = self._images.by_row(super()._generate_and_score_completions(inputs))
        self._images = None
        if self._credit == "trace":
            return output
        stated = self._stated(inputs, output["completion_ids"])
        output[_STARTS] = stated.int().argmax(dim=1)  # 0: unparsed
        return output

    def _stated(self, inputs: Sequence[Row], ids: torch.Tensor) -> torch.Tensor:
        """Which tokens state the score of a trace that parses, bool [traces, T]; none of another."""
        decode = self.processing_class.batch_decode
        stated = torch.zeros_like(ids, dtype=torch.bool)
        for row, text, tokens, its in zip(
            inputs, decode(ids, skip_special_tokens=True), ids, stated, strict=True
        ):
            if not math.isnan(self._score(text, row["principles"])):
                its |= torch.tensor(states_score(decode(tokens[:, None])), device=ids.device)
        return stated

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        with unshuffled_traces() if self._share_prompts else nullcontext():
            return stacked(super()._prepare_inputs(generation_batch))

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        if self._credit == "all_scores":
            parsed = inputs[_STARTS] > 0
            loss = self._all_scores_loss(model, inputs, parsed)
            inputs = {**inputs, "advantages": inputs["advantages"].masked_fill(parsed, 0.0)}
            if not self.accelerator.gather(inputs["advantages"].ne(0).any().view(1)).any():
                return loss
            return loss + self._surrogate(model, inputs)
        return self._surrogate(model, inputs)

    def _all_scores_loss(self, model: Any, inputs: Any, parsed: torch.Tensor) -> torch.Tensor:
        def logits(called: Mapping[str, Any]) -> torch.Tensor:
            with self.accelerator.autocast():
                return model(**called).logits

        def base_logits(called: Mapping[str, Any]) -> torch.Tensor:
            with torch.no_grad(), self.accelerator.unwrap_model(model).disable_adapter():
                return logits(called)

        rows = EvidenceRows.cut(
            self._tree.to(parsed.device),
            self.num_generations,
            inputs,
            torch.where(parsed, inputs[_STARTS], inputs["completion_mask"].sum(dim=1)),
        )
        found = judge_all_scores(
            rows,
            rows.packed(self._plain(model), inputs),
            parsed,
            self.temperature,
            logits,
            base_logits if self._evidence_kl else None,
        )
        for name, value in vars(found).items():
            of_all = self.accelerator.gather(value.detach().view(1))
            self._metrics["train"][f"gcpo/{name}"].append(of_all.mean().item())
        loss = self._evidence_kl * found.evidence_kl - found.expected_reward / 2
        return loss / self.current_gradient_accumulation_steps

    def _surrogate(self, model: Any, inputs: Any) -> torch.Tensor:
        # A KL and a router's loss are of every trace.
        if self.beta or self.aux_loss_enabled:
            return super()._compute_loss(model, inputs)
        group = self.num_generations if self._share_prompts else 1
        having = has_advantage(inputs["advantages"], group)
        # As many on all processes, since TRL gathers what it logs row by row; one at least, to have a graph.
        count = max(1, int(self.accelerator.gather(having.sum().view(1)).max()))
        kept = keep_groups(inputs, having, count)
        return super()._compute_loss(model, kept) * (count / len(having))

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **fields: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """TRL's, [rows, logits_to_keep] each, with prompts read once an image where they are shared."""
        if self._images is not None:
            fields = self._images.whole(fields)
        if not self._share_prompts:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model, input_ids, attention_mask, logits_to_keep, batch_size, **fields
            )
        layout = Layout(self.num_generations, input_ids.shape[1] - logits_to_keep, logits_to_keep)
        plain = self._plain(model)
        log_probs, entropies = [], []
        for inputs in pack_batches(plain, layout, input_ids, attention_mask, fields, batch_size):
            with self.accelerator.autocast():
                outputs = model(**inputs, fused_lm_head=True)
            log_probs.append(layout.unpack(outputs.log_probs))
            if outputs.entropy is not None:  # the base of a KL has none
                entropies.append(layout.unpack(outputs.entropy))
        return torch.cat(log_probs), torch.cat(entropies) if entropies else None, None

    def _plain(self, model: Any) -> Any:
        """The model without wrappers and adapters."""
        plain = self.accelerator.unwrap_model(model)
        return plain.get_base_model() if isinstance(plain, PeftModel) else plain

    def _generate_single_turn(
        self, prompt_ids: Sequence[Sequence[int]], images: Any, fields: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if self._images is not None and not self.use_vllm:  # which makes its own of the pictures
            fields = self._images.whole(fields)
        if self.use_vllm and self.vllm_mode == "colocate" and images is not None:
            image_token = self.processing_class.image_token_id
            prompt_ids = [with_one_token_an_image(prompt, image_token) for prompt in prompt_ids]
        # A growing cache would have compiled layers compiled again at every length.
        with torch.compiler.set_stance("force_eager"), growing_caches():
            if self.args.bf16 and self.args.device.type == "cpu" and not self.is_fsdp_enabled:
                with weights_in(torch.bfloat16, self.model):
                    return super()._generate_single_turn(prompt_ids, images, fields, *args, **kwargs)
            return super()._generate_single_turn(prompt_ids, images, fields, *args, **kwargs)

    def _score(self, text: str, principles: Sequence[Principle]) -> float:
        """τ by the checkpoint's own parser Φ; NaN for a trace that does not parse."""
        try:
            return self._profile.parse_trace(text, principles).score
        except TraceError:
            return math.nan
