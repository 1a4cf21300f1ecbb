"""GCPO's rewards and advantages as pure functions of scores (docs/paper.md, Stage 2).

Axes are [pairs, 2, traces]: a pair, its side (0 the preferred image, 1 the other), its N traces. A
score is in [0, 10]; NaN stands for a trace that could not be parsed.

**Ours**, where the paper is silent: an unparsed trace earns 0 on either side and beats nobody, *and
nobody beats it*. A win is a right order between two scores that were both stated; a win over a text
without a score would pay all traces of the other side alike, for something that says nothing about the
images. The divisor stays N, so a group whose opponents fail to parse has less to earn. A group that is
all unparsed earns 0 throughout and gives no gradient.
"""

from dataclasses import dataclass

import torch

PREFERRED, OTHER = 0, 1


def win_ratios(scores: torch.Tensor) -> torch.Tensor:
    """Rewards in [0, 1]: the share of the other side's traces that are on the right side of this one.

    `scores` and the result are [pairs, 2, traces]. A preferred trace earns the share of the other
    group's scores that lie strictly below its own (r^w); a non-preferred trace the share of the
    preferred scores that lie strictly above its own (r^l). Ties earn nothing, nor does NaN.
    """
    _check(scores)
    preferred = scores[:, PREFERRED, :, None]  # [pairs, traces, 1]
    other = scores[:, OTHER, None, :]  # [pairs, 1, traces]
    right = (preferred > other).to(torch.float32)  # false for NaN on either side
    return torch.stack([right.mean(dim=2), right.mean(dim=1)], dim=1)


def expected_win_ratios(probabilities: torch.Tensor) -> torch.Tensor:
    """Rewards as `win_ratios` gives them, each the expectation over what the traces could have scored.

    `probabilities` is [pairs, 2, traces, scores], of scores in ascending order; a row may add up to less than
    1, and an unparsed trace's is all 0. The result is [pairs, 2, traces]. Both sides have the same mean, and
    its gradient is the sum of both sides' policy gradients.
    """
    preferred, other = probabilities[:, PREFERRED], probabilities[:, OTHER]  # [pairs, traces, scores]
    below = other.cumsum(-1) - other  # of the other side's scores, strictly below each
    above = preferred.sum(-1, keepdim=True) - preferred.cumsum(-1)
    return torch.stack(
        [
            torch.einsum("pns,pms->pn", preferred, below) / other.shape[1],
            torch.einsum("pns,pms->pn", other, above) / preferred.shape[1],
        ],
        dim=1,
    )


def advantages(rewards: torch.Tensor) -> torch.Tensor:
    """Each reward less the mean of its own group of traces, not divided by anything; shape kept."""
    return rewards - rewards.mean(dim=-1, keepdim=True)


@dataclass(frozen=True)
class GroupReport:
    """What one batch of pairs taught; every field is a mean over pairs, traces or groups, as it says."""

    reward: float
    """Mean reward of all traces, in [0, 1]."""
    win_ratio: float
    """Mean reward of the preferred side's traces."""
    loss_ratio: float
    """Mean reward of the other side's. Both sides count the same right orders, so the means are equal
    by construction; they are logged apart because the paper defines them apart."""
    unparsed: float
    """Share of traces without a score."""
    weighted_advantage: float
    """(1/G) Σ A_i / L_i over all traces; negative when right judgements come from the longer traces."""
    score_margin: float
    """Mean over pairs of preferred minus other mean score; NaN when no pair has scores on both sides."""
    trace_tokens: float
    """Mean length of a trace."""
    no_gradient: float
    """Share of pairs all of whose advantages are 0."""


def report(scores: torch.Tensor, lengths: torch.Tensor) -> GroupReport:
    """The report of a batch; `scores` and `lengths` (in tokens, at least 1) are [pairs, 2, traces]."""
    rewards = win_ratios(scores)
    advantage = advantages(rewards)
    margins = scores[:, PREFERRED].nanmean(dim=-1) - scores[:, OTHER].nanmean(dim=-1)
    return GroupReport(
        reward=rewards.mean().item(),
        win_ratio=rewards[:, PREFERRED].mean().item(),
        loss_ratio=rewards[:, OTHER].mean().item(),
        unparsed=scores.isnan().float().mean().item(),
        weighted_advantage=(advantage / lengths).mean().item(),
        score_margin=margins.nanmean().item(),
        trace_tokens=lengths.float().mean().item(),
        no_gradient=(advantage == 0).all(dim=-1).all(dim=-1).float().mean().item(),
    )


def _check(scores: torch.Tensor) -> None:
    if scores.ndim != 3 or scores.shape[1] != 2 or scores.shape[2] < 1:
        raise ValueError(f"scores must be [pairs, 2, traces], got {list(scores.shape)}")
