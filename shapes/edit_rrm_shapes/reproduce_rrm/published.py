"""What is known of a measured model, in one file of the results: enough to count it as measured elsewhere.

Checkpoints are megabytes and stay where they were trained; outcomes are kilobytes and are published. A
machine without the time to train all models of a plan takes the outcomes of the others (`take`), and anyone
may test a claim of their own on them, pair by pair.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from edit_rrm_shapes.reproduce_rrm.dependence import settings_of
from edit_rrm_shapes.reproduce_rrm.graph import Model, Stage, graph, models_of
from edit_rrm_shapes.reproduce_rrm.outcomes import JudgedPair, read_outcomes, write_outcomes
from edit_rrm_shapes.reproduce_rrm.plan import Plan
from edit_rrm_shapes.staged.state import StageRecord, StageStates
from edit_rrm_training.data.jsonl import whole_file
from edit_rrm_training.errors import RowError

FOLDER = "measured"
"""Beside it lies `stages`, with the records of what makes no model: it is read for its hours alone."""
_LOG = "log.jsonl"
_EVALUATION = "evaluation.json"


class Published(BaseModel):
    """`measured/MODEL.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: StageRecord
    evaluating: StageRecord
    evaluation: dict[str, Any]
    """As `edit-rrm-train evaluate` writes it."""
    outcomes: tuple[JudgedPair, ...]
    curve: tuple[dict[str, float], ...] = ()
    """The lines of GCPO's log."""


def read_measured(out: Path, model: Model) -> Published | None:
    """What `out` knows of a model; None while it is not measured."""
    states = StageStates(out)
    training, evaluating = states.read(model.stage), states.read(model.evaluation)
    if training is None or evaluating is None or not evaluating.done:
        return None
    folder = out / model.evaluation
    return Published(
        training=training,
        evaluating=evaluating,
        evaluation=json.loads((folder / _EVALUATION).read_text(encoding="utf-8")),
        outcomes=tuple(read_outcomes(folder)),
        curve=() if model.seed is None else read_log(out / model.stage),
    )


def publish(results: Path, model: Model, found: Published) -> None:
    """Writes the file of a model."""
    with whole_file(_file(results, model)) as file:
        file.write(_one_line_a_row(found))


def without_model(stage: Stage, out: Path, results: Path, plan: Plan) -> StageRecord | None:
    """The record of data or of a base: of `out`, then it is published, or the published one of this plan."""
    there, published = StageStates(out).read(stage.name), StageStates(results)
    if there is not None:
        if there.done:
            published.adopt(there)
        return there
    found = published.read(stage.name)
    return found if found is not None and found.settings == settings_of(stage, plan) else None


def read_log(folder: Path) -> tuple[dict[str, float], ...]:
    """The lines of a training's log; none before it has written any."""
    file = folder / _LOG
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return tuple(json.loads(line) for line in lines)


def published_models(results: Path, plan: Plan) -> dict[Model, Published]:
    """What `results` has published under the same numbers of the plan. Raises RowError for a file that is
    not of this kind."""
    stages = {stage.name: stage for stage in graph(plan)}
    return {model: read for model in models_of(plan) if (read := _fitting(results, model, plan, stages))}


def take(out: Path, results: Path, plan: Plan) -> list[Model]:
    """Puts into `out`, as measured, what `published_models` finds.

    Returns the models taken. Left alone is what `out` has trained or measured itself, and a model from which
    one goes on that is not measured yet: that needs its checkpoint, and the checkpoint its own measurement.
    Raises RowError.
    """
    stages, states = graph(plan), StageStates(out)
    found = published_models(results, plan)
    unknown = {stage.name for stage in stages if stage.model not in found and not states.is_done(stage.name)}
    taken = []
    for model, published in found.items():
        own = states.read(model.stage)
        needed = any(model.stage in stage.needs and stage.name in unknown for stage in stages)
        if states.read(model.evaluation) is not None or own not in (None, published.training):
            continue
        if own is None and needed:
            continue
        taken.append(model)
        write_outcomes(out / model.evaluation, published.outcomes)
        evaluation = json.dumps(published.evaluation, indent=2) + "\n"
        (out / model.evaluation / _EVALUATION).write_text(evaluation, encoding="utf-8")
        states.adopt(published.evaluating)
        if own is None:
            if published.curve:
                lines = "".join(json.dumps(line) + "\n" for line in published.curve)
                (out / model.stage).mkdir(parents=True, exist_ok=True)
                (out / model.stage / _LOG).write_text(lines, encoding="utf-8")
            states.adopt(published.training)
    return taken


def _fitting(results: Path, model: Model, plan: Plan, stages: dict[str, Stage]) -> Published | None:
    file = _file(results, model)
    try:
        published = Published.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RowError.from_validation(file, 1, error) from error
    same = all(
        record.done and record.settings == settings_of(stages[record.stage], plan)
        for record in (published.training, published.evaluating)
    )
    return published if same else None


def _file(results: Path, model: Model) -> Path:
    return results / FOLDER / f"{model}.json"


def _one_line_a_row(published: Published) -> str:
    """JSON whose lists have a row a line, so that a change of one reads as one."""
    whole = published.model_dump(mode="json", exclude_none=True)
    rows = {name: whole.pop(name) for name in ("outcomes", "curve")}
    parts = [f'"{name}": {json.dumps(value)}' for name, value in whole.items()]
    parts += [
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in value) + "\n]"
        for name, value in rows.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"
