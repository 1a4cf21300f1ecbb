"""Samples of GCPO: the first pair of a rollout with its traces, their scores and what they earned."""

from collections.abc import Sequence

import torch

from edit_rrm_training.data.trl_rows import Row
from edit_rrm_training.gcpo.credit.win_ratio import advantages, win_ratios
from edit_rrm_training.runs.logs import Sample

_SIDES = ("preferred", "other")


def pair_samples(inputs: Sequence[Row], texts: Sequence[str], scores: torch.Tensor) -> list[Sample]:
    """One sample a side, of a rollout's first pair.

    `scores` is [2, traces], NaN for a trace without one. `inputs` and `texts` are one process's: they begin
    with the pair's, or with the part of it that the process has, which alone is shown.
    """
    earned = win_ratios(scores[None])[0]  # [2, traces]
    advantage = advantages(earned)
    traces = scores.shape[1]
    return [
        Sample(
            f"{name}: {inputs[first]['instruction']}",
            tuple(inputs[first]["images"]),
            ("source", name),
            tuple(
                {
                    "score": None if scores[side, trace].isnan() else scores[side, trace].item(),
                    "reward": earned[side, trace].item(),
                    "advantage": advantage[side, trace].item(),
                    "trace": text,
                }
                for trace, text in enumerate(texts[first : first + traces])
            ),
        )
        for side, name in enumerate(_SIDES)
        if (first := side * traces) < len(inputs)
    ]
