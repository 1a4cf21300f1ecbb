"""The bases that ship with the package: what `base-m` and `base-s` would train, trained once.

Each is taken only where its card tells of the very stages of the plan.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edit_rrm.checkpoint import read_card
from edit_rrm_shapes import models
from edit_rrm_shapes.tiny_rrm.base import BaseStages
from edit_rrm_shapes.tiny_rrm.model import Size


def bundled_base(size: Size, stages: BaseStages, directory: Path = models.HERE) -> Path | None:
    """The base of that size, if it was trained by those stages."""
    base = directory / f"edit-rrm-tiny-base-{size}"
    if not base.is_dir():
        return None
    trained: dict[str, Any] = read_card(base).training
    return base if trained.get("stages") == json.loads(json.dumps(asdict(stages))) else None


def take_base(base: Path, destination: Path) -> str:
    """Copies it, and says how long it was trained."""
    shutil.rmtree(destination, ignore_errors=True)
    shutil.copytree(base, destination)
    seconds: dict[str, int] = read_card(base).training["seconds"]
    return f"{base.name} ships with the package: it was trained for {sum(seconds.values()) / 60:.0f} min"
