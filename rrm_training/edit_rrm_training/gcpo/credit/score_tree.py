"""What a trace could have scored: all scores, as a tree of tokens behind the evidence, with probabilities.

A trace ends with its score, a few tokens of a hundred, and which of them are drawn is most of what GCPO
learns from. Given the evidence there are only 101 scores, 0.0 to 10.0, so the expectation of the win ratio
over them need not be sampled: a policy gradient over all actions (Sutton et al., 2001, "Comparing
policy-gradient algorithms"; Ciosek & Whiteson, 2018, "Expected policy gradients") has no noise but the
evidence's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from edit_rrm.traces import MAX_SCORE, format_score
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo.credit.score_tokens import CLOSING, OPENING

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
