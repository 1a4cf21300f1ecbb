"""Judge files out of other projects' prompt files, a module a family.

Their texts are theirs: what stands here is where they lie, how they are put together and which numbers they
ask for. A Python file is read as a syntax tree and never run. It knows no model and asks nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edit_rrm.errors import JudgeError
from edit_rrm.judges.importing import (
    edit_r1,
    editscore,
    firm,
    imgedit,
    rational_rewards,
    unified_reward,
    viescore,
)
from edit_rrm.judges.spec import JudgeSpec, judge_spec


@dataclass(frozen=True)
class Importer:
    """A judge that can be imported: from which repository on GitHub, for which checkpoints, and how."""

    repository: str
    about: str
    read: Callable[[Path], dict[str, Any]]


_IMGEDIT = "PKU-YuanGroup/ImgEdit"

IMPORTERS: Mapping[str, Importer] = {
    "editscore": Importer("VectorSpaceLab/EditScore", "EditScore on Qwen3-VL", editscore.read),
    "editscore-qwen2.5-vl": Importer(
        "VectorSpaceLab/EditScore", "EditScore on Qwen2.5-VL", partial(editscore.read, tagged_images=True)
    ),
    "unifiedreward-edit": Importer(
        "CodeGoat24/UnifiedReward", "UnifiedReward-Edit, pointwise", unified_reward.read
    ),
    "rationalrewards-edit": Importer(
        "TIGER-AI-Lab/RationalRewards", "RationalRewards-8B-Edit", rational_rewards.read
    ),
    "firm-edit": Importer("VisionXLab/FIRM-Reward", "FIRM-Edit-8B", firm.read),
    "viescore": Importer("TIGER-AI-Lab/VIEScore", "any VLM, text before images", viescore.read),
    "gedit": Importer("stepfun-ai/Step1X-Edit", "any VLM, as GEdit-Bench asks", viescore.read_gedit),
    "edit-r1": Importer("PKU-YuanGroup/Edit-R1", "any VLM, one digit", edit_r1.read),
    **{
        f"imgedit-{kind}": Importer(
            _IMGEDIT, f"any VLM, edits of the kind {kind}", partial(imgedit.read, kind=kind)
        )
        for kind in imgedit.CATEGORIES
    },
}


def import_judge(name: str, root: Path) -> JudgeSpec:
    """The judge `name`, from a checkout or package at `root`.

    Raises JudgeError for a name that is none, and for another layout, naming the file that was expected.
    """
    importer = IMPORTERS.get(name)
    if importer is None:
        raise JudgeError(f"no importer is called {name!r}; there are {', '.join(IMPORTERS)}")
    return judge_spec(importer.read(root), f"{importer.repository} at {root}")


__all__ = ["IMPORTERS", "Importer", "import_judge"]
