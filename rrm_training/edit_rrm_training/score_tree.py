"""What a trace could have scored: all scores, as a tree of tokens behind the evidence, with probabilities.

A trace ends with its score, a few tokens of a hundred, and which of them are drawn is most of what GCPO
learns from. Given the evidence there are only 101 scores, 0.0 to 10.0, so the expectation of the win ratio
over them need not be sampled: a policy gradient over all actions (Sutton et al., 2001, "Comparing
policy-gradient algorithms"; Ciosek & Whiteson, 2018, "Expected policy gradients") has no noise but the
evidence's.

The inner nodes of the tree stand behind a trace, after the evidence, in one row with it (shared_prompts.py):

    evidence without its last token | last token | 0 | 1 | … | 9 | 0. | 1. | … | 10 | 10.

The first node repeats the last token of the evidence, for its logits are those of the first token of a score.
A node sees the evidence and the nodes above it, and has the position it would have in a trace.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from edit_rrm.traces import MAX_SCORE, format_score
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.score_tokens import CLOSING, OPENING
from edit_rrm_training.shared_prompts import Layout

SCORES = tuple(tenths / 10 for tenths in range(round(MAX_SCORE * 10) + 1))
"""What a trace of format 1 can state (`format_score`), ascending."""


@dataclass(frozen=True)
class ScoreTree:
    """The tree for one tokenizer; node 0 is the last token before the score, of every trace its own."""

    tokens: torch.Tensor
    """[nodes]; 0 for node 0."""
    depths: torch.Tensor
    """[nodes], 0 for node 0."""
    sees: torch.Tensor
    """[nodes, nodes], bool: itself and the nodes above it."""
    nodes: torch.Tensor
    """[scores, longest], the nodes that predict a score's tokens, padded with 0."""
    predicted: torch.Tensor
    """[scores, longest], the tokens they predict, padded with −1."""

    def __len__(self) -> int:
        return len(self.tokens)

    def to(self, device: torch.device) -> "ScoreTree":
        """All of it on a device."""
        return ScoreTree(*(part.to(device) for part in vars(self).values()))

    def log_probabilities(self, of_tokens: torch.Tensor) -> torch.Tensor:
        """[rows, scores], from the nodes' log-probabilities of tokens, [rows, nodes, vocabulary].

        What a model puts on other texts is missing: the probabilities of a row add up to less than 1.
        """
        taken = of_tokens[:, self.nodes, self.predicted.clamp(min=0)]  # [rows, scores, longest]
        return taken.masked_fill(self.predicted < 0, 0.0).sum(-1)


def score_tree(encode: Callable[[str], Sequence[int]]) -> ScoreTree:
    """The tree of `SCORES`, from a function that gives a text's tokens.

    Raises SettingsError when a score does not begin and end with tokens of its own, when two have the same
    tokens, or when one's are the beginning of another's.
    """
    texts = [format_score(score) for score in SCORES]
    paths = [tuple(encode(text)) for text in texts]
    opening, closing = tuple(encode(OPENING)), tuple(encode(CLOSING))
    if any(
        tuple(encode(f"{OPENING}{text}{CLOSING}")) != opening + path + closing
        for text, path in zip(texts, paths, strict=True)
    ):
        raise SettingsError("this tokenizer joins a score to the tags around it")
    inner = sorted(
        {path[:depth] for path in paths for depth in range(len(path))}, key=lambda at: (len(at), at)
    )
    if len(set(paths)) < len(paths) or set(paths) & set(inner):
        raise SettingsError("this tokenizer does not keep the scores 0.0 to 10.0 apart")
    place = {above: index for index, above in enumerate(inner)}
    longest = max(map(len, paths))
    sees = torch.zeros(len(inner), len(inner), dtype=torch.bool)
    for above, index in place.items():
        sees[index, [place[above[:depth]] for depth in range(len(above) + 1)]] = True

    def padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
        return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])

    return ScoreTree(
        tokens=torch.tensor([above[-1] if above else 0 for above in inner]),
        depths=torch.tensor([len(above) for above in inner]),
        sees=sees,
        nodes=padded([[place[path[:depth]] for depth in range(len(path))] for path in paths], 0),
        predicted=padded(paths, -1),
    )


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

    def grown(self, packed: Mapping[str, Any]) -> dict[str, Any]:
        """What the model is called with: `pack_batches`' rows, in which nodes see what they should and stand
        where they would in a trace."""
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
