"""VIEScore for text-guided edits, and GEdit-Bench's copy of it.

One set of prompts, 0–10, score before reasoning. VIEScore's wrapper of the OpenAI API puts the text before
the images; GEdit-Bench's of Qwen2.5-VL the images before the text, greedily, and the candidate at the
source's size.

Verified in TIGER-AI-Lab/VIEScore at 2cbea4e and stepfun-ai/Step1X-Edit at 570eba6: viescore/vie_prompts.py.
"""

from pathlib import Path
from typing import Any

from edit_rrm.judges.importing.checkout import expected, provenance
from edit_rrm.judges.importing.python_texts import plain_texts
from edit_rrm.judges.importing.semantics_and_quality import two_asks
from edit_rrm.judges.importing.templates import INSTRUCTION, literal, marked

_CONTEXT = "_context_no_delimit"
_RULE = "_prompts_0shot_two_image_edit_rule"
_SEMANTICS = "_prompts_0shot_tie_rule_SC"
_QUALITY = "_prompts_0shot_rule_PQ"


def read(root: Path) -> dict[str, Any]:
    """VIEScore's judge file: text first. Raises JudgeError."""
    file = expected(root, "viescore/vie_prompts.py", "vie_prompts.py")
    semantics, quality = _texts(file)
    return {
        "name": "viescore",
        "about": f"VIEScore's own prompts for text-guided edits, from {provenance(root, file)}.",
        "sampling": {"max_tokens": 1400},
        "chat": {"thinking": {"enabled": False}},
        **two_asks(
            [semantics, {"image": "source"}, {"image": "candidate"}],
            [quality, {"image": "candidate"}],
            highest=10,
            reasoning="last",
        ),
    }


def read_gedit(root: Path) -> dict[str, Any]:
    """GEdit-Bench's judge file for Qwen2.5-VL: images first. Raises JudgeError."""
    file = expected(root, "GEdit-Bench/viescore/vie_prompts.py", "viescore/vie_prompts.py", "vie_prompts.py")
    semantics, quality = _texts(file)
    return {
        "name": "gedit",
        "pictures": {"candidate": "source_size"},
        "about": f"GEdit-Bench's own prompts, from {provenance(root, file)}.",
        "sampling": {"temperature": 0.0, "max_tokens": 512},
        "chat": {"thinking": {"enabled": False}},
        **two_asks(
            [{"image": "source"}, {"image": "candidate"}, semantics],
            [{"image": "candidate"}, quality],
            highest=10,
            reasoning="last",
        ),
    }


def _texts(file: Path) -> tuple[str, str]:
    texts = plain_texts(file, _CONTEXT, _RULE, _SEMANTICS, _QUALITY)
    semantics = "\n".join([texts[_CONTEXT], texts[_RULE], texts[_SEMANTICS]])
    quality = "\n".join([texts[_CONTEXT], texts[_QUALITY]])
    return marked(semantics, {"<instruction>": INSTRUCTION}, f"{file}: {_SEMANTICS}"), literal(quality)
