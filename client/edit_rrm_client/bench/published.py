"""Numbers that others printed for these benchmarks, in per cent, with where they stand. Nothing else."""

from collections.abc import Mapping

EDIT_R1 = "arXiv 2604.27505"
EDITREWARD = "README of TIGER-AI-Lab/EditReward"

EDITSCORE_OVERALL: Mapping[str, float] = {
    "EditScore-7B": 65.9, "EditScore-7B scaled": 72.7, "SFT-RRM-7B": 73.3, "RL-RRM-7B": 78.2,
}  # fmt: skip
"""EDIT_R1, on EditScore's EditReward-Bench."""

TIGER: Mapping[str, Mapping[str, float]] = {
    "K=2": {"random": 25.81, "Qwen2.5-VL-7B": 52.69, "GPT-5": 57.53, "EditReward-MiMo-7B": 56.45},
    "K=3": {"random": 11.33, "Qwen2.5-VL-7B": 24.67, "GPT-5": 38.51, "EditReward-MiMo-7B": 42.67},
    "K=4": {"random": 1.35, "Qwen2.5-VL-7B": 3.38, "GPT-5": 12.84, "EditReward-MiMo-7B": 11.49},
    "overall": {"random": 13.84, "Qwen2.5-VL-7B": 29.75, "GPT-5": 37.81, "EditReward-MiMo-7B": 38.42},
}
"""EDITREWARD."""

GENAI: Mapping[str, float] = {
    "random": 25.9, "Qwen2.5-VL-7B": 40.48, "GPT-5": 59.61, "EditReward-MiMo-7B": 65.72,
}  # fmt: skip
"""EDITREWARD."""

MMRB2 = "none by pair; see the README of facebookresearch/MMRB2"
COMPASS = "none here; see arXiv 2605.13062"
