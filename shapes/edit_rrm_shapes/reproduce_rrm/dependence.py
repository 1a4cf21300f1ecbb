"""The part of a plan that a stage's outputs depend on: its own numbers and those of the stages before it.

It is stored beside a stage's outputs, so that a changed plan meets no old outputs. Pure.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from edit_rrm_shapes.reproduce_rrm.graph import Stage
from edit_rrm_shapes.reproduce_rrm.plan import Plan
from edit_rrm_shapes.staged.state import StageStates

SFT_DATA = ("world", "edits", "candidates", "teachers")
GCPO_DATA = ("pairs_", "validation_")
TEST_DATA = ("test_",)


def settings_of(stage: Stage, plan: Plan) -> dict[str, Any]:
    """As JSON holds it. The table depends on what is measured, not on the plan, and has none."""
    data = asdict(plan.data)
    if stage.kind == "data":
        return _plain({"data": data})
    if stage.kind == "base":
        return _plain({"base": asdict(plan.base)})
    if stage.size is None or stage.model is None:
        return {}
    of_size = plan.sizes[stage.size]
    read: tuple[str, ...] = SFT_DATA
    parts: dict[str, Any] = {
        "max_trace_tokens": plan.max_trace_tokens, "base": asdict(plan.base), "sft": asdict(of_size.sft),
    }  # fmt: skip
    if stage.model.seed is not None:
        gcpo = asdict(of_size.gcpo_of(stage.model.credit))
        parts["gcpo"] = {name: value for name, value in gcpo.items() if name != "seeds"}
        read += GCPO_DATA
    if stage.kind == "evaluate":
        read += TEST_DATA
    parts["data"] = {name: value for name, value in data.items() if name.startswith(read)}
    return _plain(parts)


def refuse_outdated(stages: Iterable[Stage], plan: Plan, states: StageStates) -> None:
    """Raises StageError when a stage was begun, or is done, with other settings than the plan's."""
    for stage in stages:
        record = states.read(stage.name)
        if record is not None:
            states.check_settings(record, settings_of(stage, plan))


def _plain(parts: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(parts, default=str))
    return plain
