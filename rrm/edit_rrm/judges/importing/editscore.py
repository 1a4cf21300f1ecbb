"""EditScore on Qwen3-VL and on Qwen2.5-VL.

Trained on 0–25: its texts say 10 and are rewritten. Qwen3-VL is asked through its chat template; the wrapper
of Qwen2.5-VL writes a tag before each image. `evaluate` shows the candidate alone for quality, which is what
is done here; `batch_evaluate` shows both images.

Verified in VectorSpaceLab/EditScore at 6e0f1b9: editscore/__init__.py, vie_prompts.py, mllm_tools/.
"""

from pathlib import Path
from typing import Any

from edit_rrm.judges.importing.checkout import expected, provenance
from edit_rrm.judges.importing.python_texts import plain_texts
from edit_rrm.judges.importing.semantics_and_quality import two_asks
from edit_rrm.judges.importing.templates import INSTRUCTION, literal, marked

HIGHEST = 25
_CONTEXT = "_context_no_delimit_reasoning_first"
_RULE = "_prompts_0shot_two_image_edit_rule"
_SEMANTICS = "_prompts_0shot_tie_rule_SC"
_QUALITY = "_prompts_0shot_rule_PQ"


def read(root: Path, tagged_images: bool = False) -> dict[str, Any]:
    """The content of its judge file; with `tagged_images` for Qwen2.5-VL. Raises JudgeError."""
    file = expected(root, "editscore/vie_prompts.py", "vie_prompts.py")
    texts = plain_texts(file, _CONTEXT, _RULE, _SEMANTICS, _QUALITY)
    scale = {name: texts[name].replace("10", str(HIGHEST)) for name in (_SEMANTICS, _QUALITY)}
    semantics = "\n".join([texts[_CONTEXT], texts[_RULE], scale[_SEMANTICS]])
    quality = "\n".join([texts[_CONTEXT], scale[_QUALITY]])
    asked = marked(semantics, {"<instruction>": INSTRUCTION}, f"{file}: {_SEMANTICS}")
    return {
        "name": "editscore-qwen2.5-vl" if tagged_images else "editscore",
        "about": f"EditScore's own prompts, from {provenance(root, file)}.",
        "sampling": {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "max_tokens": 512},
        **two_asks(
            [*_images(["source", "candidate"], tagged_images), asked],
            [*_images(["candidate"], tagged_images), literal(quality)],
            highest=HIGHEST,
            reasoning="first",
        ),
    }


def _images(names: list[str], tagged: bool) -> list[object]:
    parts: list[object] = []
    for number, name in enumerate(names, start=1):
        parts += [f"<img{number}>: ", {"image": name}] if tagged else [{"image": name}]
    return parts
