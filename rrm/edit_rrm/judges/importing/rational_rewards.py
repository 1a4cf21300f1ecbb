"""RationalRewards-Edit, as its own trainings of editors ask it.

Four aspects, 1 to 4 with decimals, each in a section of its own. The reward is the mean of three: upstream
reads image faithfulness and leaves it out. Text rendering may be N/A.

Verified in TIGER-AI-Lab/RationalRewards at 44e27ab: diffusion_rl_training/.
"""

from pathlib import Path
from typing import Any

from edit_rrm.judges.importing.checkout import expected, provenance
from edit_rrm.judges.importing.python_texts import plain_texts
from edit_rrm.judges.importing.templates import INSTRUCTION, around_images, formatted, literal

_SCRIPTS = ("train_qwen_edit_rationalrewards.py", "train_flux_kontext_rationalrewards.py")
_SYSTEM, _TASK, _GUIDELINE = "SYSTEM_PROMPT", "TASK_RELATED_TEMPLATE", "COMMON_TASK_GUIDELINE"
_IMAGE = "<image>"


def read(root: Path) -> dict[str, Any]:
    """The content of its judge file. Raises JudgeError."""
    file = expected(root, *(f"diffusion_rl_training/{name}" for name in _SCRIPTS), *_SCRIPTS)
    texts = plain_texts(file, _SYSTEM, _TASK, _GUIDELINE)
    task = formatted(texts[_TASK], {"request": INSTRUCTION}, f"{file}: {_TASK}")
    user = f"{task}\n\n{literal(texts[_GUIDELINE])}"
    return {
        "name": "rationalrewards-edit",
        "about": f"RationalRewards' own pointwise prompt for edits, from {provenance(root, file)}.",
        "reward": "mean(text_faithfulness, physical_quality, text_rendering)",
        "subscores": {
            "text_faithfulness": {"category": "follow"},
            "image_faithfulness": {"category": "keep", "about": "read, and not in the reward, as upstream"},
            "physical_quality": {"category": "quality"},
            "text_rendering": {"category": "follow", "about": "left out where no lettering is asked for"},
        },
        "sampling": {"temperature": 0.1, "max_tokens": 2048},
        "asks": [
            {
                "name": "edit",
                "messages": [
                    {"role": "system", "parts": [literal(texts[_SYSTEM])]},
                    {
                        "role": "user",
                        "parts": around_images(user, _IMAGE, ["source", "candidate"], str(file)),
                    },
                ],
                "answer": {
                    "form": "labelled_scores",
                    "range": [1, 4],
                    "labels": {
                        "text_faithfulness": ["Text Faithfulness"],
                        "image_faithfulness": ["Image Faithfulness"],
                        "physical_quality": ["Physical and Visual Quality"],
                        "text_rendering": ["Text Rendering"],
                    },
                    "optional": ["text_rendering"],
                    "number_label": "Score",
                },
            }
        ],
    }
