"""FIRM-Edit, as its own trainings of editors ask it.

Execution and consistency, 1 to 5 in whole numbers. Its reward is e · (0.6 + 0.4 · c) of both divided by 5; a
subscore of ours is (number - 1) / 4, so number / 5 is 0.2 + 0.8 · subscore.

Verified in VisionXLab/FIRM-Reward at ba41493: editing/reward_server/, flow_grpo/rewards.py, the SFT config.
"""

from pathlib import Path
from typing import Any

from edit_rrm.judges.importing.checkout import expected, provenance
from edit_rrm.judges.importing.python_texts import plain_texts
from edit_rrm.judges.importing.templates import INSTRUCTION, formatted

_NAME = "prompt_template.py"
_TEXTS = {"execution": "SCORE_EXECUTION", "consistency": "SCORE_CONSISTENCY"}
_CATEGORIES = {"execution": "follow", "consistency": "keep"}


def read(root: Path) -> dict[str, Any]:
    """The content of its judge file. Raises JudgeError."""
    file = expected(root, f"editing/reward_server/{_NAME}", f"reward_server/{_NAME}", _NAME)
    texts = plain_texts(file, *_TEXTS.values())
    return {
        "name": "firm-edit",
        "about": f"FIRM-Edit's own prompts, from {provenance(root, file)}.",
        "reward": "(0.2 + 0.8 * execution) * (0.6 + 0.4 * (0.2 + 0.8 * consistency))",
        "subscores": {name: {"category": category} for name, category in _CATEGORIES.items()},
        "sampling": {"temperature": 0.0, "max_tokens": 256},
        "asks": [
            {
                "name": name,
                "messages": [
                    {
                        "role": "user",
                        "parts": [
                            {"image": "source"},
                            {"image": "candidate"},
                            formatted(texts[variable], {"prompt": INSTRUCTION}, f"{file}: {variable}"),
                        ],
                    }
                ],
                "answer": {
                    "form": "json_scores",
                    "range": [1, 5],
                    "whole": True,
                    "as_list": True,
                    "subscores": [name],
                },
            }
            for name, variable in _TEXTS.items()
        ],
    }
