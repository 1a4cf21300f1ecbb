"""The digit judge of UniWorld's Edit-R1.

Any VLM; one digit from 0 to 5 by its expectation over the logits. The data set's `requirement` of each edit
is no part of a request here: it is left empty, as upstream leaves it without one.

Verified in PKU-YuanGroup/Edit-R1 at 4217f25: reward_server/.
"""

from pathlib import Path
from typing import Any

from edit_rrm.judges.importing.checkout import expected, provenance
from edit_rrm.judges.importing.python_texts import plain_texts
from edit_rrm.judges.importing.templates import INSTRUCTION, formatted

_NAME = "prompt_template.py"
_VARIABLE = "SCORE_LOGIT"


def read(root: Path) -> dict[str, Any]:
    """The content of its judge file. Raises JudgeError."""
    file = expected(root, f"reward_server/{_NAME}", _NAME)
    text = plain_texts(file, _VARIABLE)[_VARIABLE]
    values = {"prompt": INSTRUCTION, "requirement": ""}
    asked = formatted(text, values, f"{file}: {_VARIABLE}")
    return {
        "name": "edit-r1",
        "about": f"The digit judge of UniWorld's Edit-R1, its prompt from {provenance(root, file)}.",
        "reward": "edit",
        "chat": {"thinking": {"enabled": False}},
        "asks": [
            {
                "name": "edit",
                "messages": [{"role": "user", "parts": [{"image": "source"}, {"image": "candidate"}, asked]}],
                "answer": {"form": "digit_expectation", "digits": [0, 1, 2, 3, 4, 5], "subscore": "edit"},
            }
        ],
    }
