"""Samples of GCPO: the first pair of a rollout with its traces, their scores and what they earned."""

from collections.abc import Sequence

import torch

from edit_rrm_training.data.trl_rows import Row
from edit_rrm_training.gcpo.credit.win_ratio import advantages, win_ratios
from edit_rrm_training.runs.logs import Sample

_SIDES = ("preferred", "other")


def pair_samples(inputs: Sequence[Row], texts: Sequence[str], scores: torch.Tensor) -> list[Sample]:
    """One sample a side. `inputs` and `texts` begin with the pair's; `scores` is [2, traces], NaN for a trace
    without one."""
    earned = win_ratios(scores[None])[0]  # [2, traces]
    advantage = advantages(earned)
    traces = scores.shape[1]
    return [
        Sample(
            f"{name}: {inputs[side * traces]['instruction']}",
            tuple(inputs[side * traces]["images"]),
            ("source", name),
            tuple(
                {
                    "score": None if score.isnan() else score.item(),
                    "reward": earned[side, trace].item(),
                    "advantage": advantage[side, trace].item(),
                    "trace": texts[side * traces + trace],
                }
                for trace, score in enumerate(scores[side])
            ),
        )
        for side, name in enumerate(_SIDES)
    ]
