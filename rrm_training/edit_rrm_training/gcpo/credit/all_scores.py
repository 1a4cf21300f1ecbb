"""`credit=all_scores`: what a pair's traces earn in expectation over all they could have scored.

The inner nodes of the tree stand behind a trace, after the evidence, in one row with it
(gcpo/update/shared_prompts.py):

    evidence without its last token | last token | 0 | 1 | … | 9 | 0. | 1. | … | 10 | 10.

The first node repeats the last token of the evidence, for its logits are those of the first token of a score.
A node sees the evidence and the nodes above it, and has the position it would have in a trace.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from edit_rrm_training.gcpo.credit.score_tree import ScoreTree
from edit_rrm_training.gcpo.credit.win_ratio import expected_win_ratios
from edit_rrm_training.gcpo.update.shared_prompts import Layout, pack_batches

Logits = Callable[[Mapping[str, Any]], torch.Tensor]
"""What a model is called with to the logits of `logits_to_keep`, [groups, N · columns, vocabulary]."""


@dataclass(frozen=True)
class EvidenceRows:
    """Traces cut before their scores, each with the tree behind it, as `pack_batches` takes rows."""

    layout: Layout
    input_ids: torch.Tensor
    """[traces, P + T + nodes]."""
    attention_mask: torch.Tensor
    tree: ScoreTree
    starts: torch.Tensor
    """[traces], the place of the score's first token in its trace, at least 1."""

    @classmethod
    def cut(
        cls, tree: ScoreTree, group: int, inputs: Mapping[str, torch.Tensor], starts: torch.Tensor
    ) -> "EvidenceRows":
        """From TRL's padded rows (`prompt_ids`, `completion_ids`, their masks), `group` of them an image."""
        kept = int(starts.max()) - 1  # the evidence's last token is the tree's first node
        traces, ids = inputs["completion_ids"], inputs["prompt_ids"]
        before = torch.arange(kept, device=ids.device) < starts[:, None] - 1  # [traces, kept]
        nodes = tree.tokens.repeat(len(traces), 1)
        nodes[:, 0] = traces.gather(1, starts[:, None] - 1)[:, 0]
        return cls(
            Layout(group, ids.shape[1], kept + len(tree)),
            torch.cat([ids, traces[:, :kept], nodes], dim=1),
            torch.cat([inputs["prompt_mask"], before.long(), torch.ones_like(nodes)], dim=1),
            tree,
            starts,
        )

    @property
    def kept(self) -> int:
        """T, the most tokens of a trace that stand before its tree."""
        return self.layout.trace - len(self.tree)

    def predicting(self) -> torch.Tensor:
        """Whose logits are of evidence, bool [traces, 1 + T]: the prompt's last token, and all of the
        evidence but its last, which is in the tree."""
        return torch.arange(1 + self.kept, device=self.starts.device) < self.starts[:, None]

    def columns(self, evidence: bool) -> torch.Tensor:
        """Where in a packed row the nodes of the first trace lie, and of the next ones: [N · nodes]; with
        `evidence`, before those of a trace its 1 + T."""
        layout, device = self.layout, self.input_ids.device
        of_trace = torch.arange(0 if evidence else 1 + self.kept, 1 + layout.trace, device=device)
        firsts = layout.shared + torch.arange(layout.traces, device=device) * (1 + layout.trace)
        return (firsts[:, None] + of_trace).flatten()

    def packed(self, unwrapped_model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What the model is called with but for `logits_to_keep`: `pack_batches`' rows, in which nodes see
        what they should and stand where they would in a trace. `inputs` are TRL's, with the images."""
        prompt = inputs["prompt_ids"].shape[1]
        added = self.input_ids.shape[1] - prompt
        kinds = torch.nn.functional.pad(inputs["mm_token_type_ids"][:, :prompt], (0, added))
        images = {**inputs, "mm_token_type_ids": kinds}
        (packed,) = pack_batches(
            unwrapped_model, self.layout, self.input_ids, self.attention_mask, images, None
        )
        return self._grown(packed)

    def _grown(self, packed: Mapping[str, Any]) -> dict[str, Any]:
        layout, tree = self.layout, self.tree
        columns = self.columns(evidence=False)
        inputs = {name: value for name, value in packed.items() if name != "labels"}
        mask = inputs["attention_mask"].clone()  # [groups, 1, length, length]
        for of_trace in columns.view(layout.traces, -1):
            mask[:, :, of_trace[:, None], of_trace] = tree.sees
        positions = inputs["position_ids"].clone()  # [3, groups, length]
        tails = positions[..., layout.shared :].unflatten(-1, (layout.traces, 1 + layout.trace))
        ends = tails[..., 1] + self.starts.view(-1, layout.traces) - 1  # of node 0, [3, groups, N]
        positions[..., columns] = (ends[..., None] + tree.depths).flatten(-2)
        return {**inputs, "attention_mask": mask, "position_ids": positions}


@dataclass(frozen=True)
class Judged:
    """What a batch of pairs would earn; both with gradient."""

    expected_reward: torch.Tensor
    """The win ratios' expectation, a mean of traces. Half its gradient is, in expectation, that of the
    surrogate on policy over the tokens of the score, undivided by their number."""
    evidence_kl: torch.Tensor
    """KL of the evidence to the base, nats: over the whole vocabulary, summed over a trace, a mean of traces;
    0 where nobody asked."""


def judge_all_scores(
    rows: EvidenceRows,
    packed: Mapping[str, Any],
    parsed: torch.Tensor,
    temperature: float,
    logits: Logits,
    base_logits: Logits | None,
) -> Judged:
    """Reads `packed`, of whole pairs, once, and with the base once more if there is one.

    `parsed`, bool [traces], says which traces have a score; another earns nothing and beats nobody.
    """
    group, tree = rows.layout.traces, rows.tree
    called = {**packed, "logits_to_keep": rows.columns(evidence=base_logits is not None)}

    def log_probs(read: Logits) -> torch.Tensor:  # [traces, columns, vocabulary]
        by_trace = read(called).unflatten(1, (group, -1)).flatten(0, 1)
        return (by_trace.float() / temperature).log_softmax(-1)

    ours = log_probs(logits)
    probabilities = tree.log_probabilities(ours[:, -len(tree) :]).exp() * parsed[:, None]
    reward = expected_win_ratios(probabilities.unflatten(0, (-1, 2, group))).mean()
    if base_logits is None:
        return Judged(reward, torch.zeros_like(reward))
    ours = ours[:, : 1 + rows.kept]
    base = log_probs(base_logits)[:, : 1 + rows.kept]
    away = (ours.exp() * (ours - base)).sum(-1)  # [traces, 1 + T]
    return Judged(reward, (away * rows.predicting()).sum(dim=1).mean())
