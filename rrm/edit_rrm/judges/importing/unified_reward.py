"""UnifiedReward-Edit, its two pointwise judges.

Two scripts, each with one prompt of EditScore's form, 0–25; images before text, thinking off. The scripts
read no number and combine none: reward and reading are EditScore's.

Verified in CodeGoat24/UnifiedReward at ff6f520: UnifiedReward-Edit/edit_pointwise_quality.py, its neighbour.
"""

from pathlib import Path
from typing import Any

from edit_rrm.judges.importing.checkout import expected, provenance
from edit_rrm.judges.importing.python_texts import python_texts
from edit_rrm.judges.importing.semantics_and_quality import two_asks
from edit_rrm.judges.importing.templates import INSTRUCTION, filled

_VARIABLE = "problem"


def read(root: Path) -> dict[str, Any]:
    """The content of its judge file. Raises JudgeError."""
    files = [
        expected(root, f"UnifiedReward-Edit/{name}", name)
        for name in ("edit_pointwise_instruction_following.py", "edit_pointwise_quality.py")
    ]
    semantics, quality = (python_texts(file, _VARIABLE)[_VARIABLE] for file in files)
    asked = filled(semantics, {"instruction": INSTRUCTION}, f"{files[0]}: {_VARIABLE}")
    return {
        "name": "unifiedreward-edit",
        "about": f"UnifiedReward-Edit's own pointwise prompts, from {provenance(root, *files)}.",
        "sampling": {"temperature": 0.0, "max_tokens": 4096},
        "chat": {"thinking": {"enabled": False}},
        **two_asks(
            [{"image": "source"}, {"image": "candidate"}, asked],
            [{"image": "candidate"}, filled(quality, {}, f"{files[1]}: {_VARIABLE}")],
            highest=25,
            reasoning="first",
        ),
    }
