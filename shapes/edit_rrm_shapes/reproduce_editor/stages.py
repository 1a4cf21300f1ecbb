"""What each kind of stage does, in this process: every one goes on where it was and ends with its outputs."""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edit_grpo.errors import EditTrainingError, SettingsError
from edit_grpo.policies.loading import pipeline_class
from edit_grpo.run.checkpointing import FOLDER, POLICY, update_name
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.settings_file import load_settings
from edit_grpo.run.training_run import run_training
from edit_rrm.checkpoint import checkpoint_directory
from edit_rrm_shapes.reproduce_editor.measuring import EDITS, measure, write_measured
from edit_rrm_shapes.reproduce_editor.plan import EditPlan, Run, Stage, measured_updates
from edit_rrm_shapes.reproduce_editor.serving import is_address, serving

DATA = "data"
TRAIN, GRID, TEST = "train", "grid", "test"
SAVE_EVERY = 5
"""At most so many updates are lost by a kill."""


@dataclass(frozen=True)
class Surroundings:
    """Where the stages write, and what they read."""

    out: Path
    results: Path
    config: Path
    """Settings of the training; the plan's assignments go before it."""
    say: Callable[[str], None] = print

    def data(self, split: str) -> Path:
        """The edits of `train`, `grid` or `test`."""
        return self.out / DATA / split

    def training(self, run: Run) -> Path:
        """The run directory of `edit-grpo train`."""
        return self.out / f"train-{run}"

    def measurement(self, run: Run, update: int) -> Path:
        """Where the editor after so many updates is measured; `.jsonl` beside it when it is."""
        return self.out / f"measure-{run}" / update_name(update)


def check(plan: EditPlan) -> None:
    """Whether what the plan starts from is there; hours later would be late. Raises EditTrainingError."""
    pipeline_class(plan.editor)
    for reward, model in plan.rewards.items():
        if not is_address(model) and not (checkpoint_directory(model) / "config.json").is_file():
            raise SettingsError(
                f"the reward {reward} is neither a checkpoint nor an address: {model}; train it with "
                f"`edit-rrm-shapes reproduce-rrm`, or give `--reward {reward}=…`"
            )


def run_stage(stage: Stage, plan: EditPlan, around: Surroundings) -> None:
    """Runs what is left of a stage. Raises EditTrainingError and EditRRMClientError."""
    if stage.kind == "data":
        _data(plan, around)
    elif stage.kind == "train":
        _train(_run_of(stage), plan, around)
    elif stage.kind == "measure":
        _measure(_run_of(stage), plan, around)
    else:
        from edit_rrm_shapes.reproduce_editor.reporting import write_results

        write_results(plan, around)


def _run_of(stage: Stage) -> Run:
    assert stage.run is not None
    return stage.run


def _data(plan: EditPlan, around: Surroundings) -> None:
    for split, world, count in (
        (TRAIN, plan.world, plan.edits),
        (GRID, plan.grid_world, plan.grid_edits),
        (TEST, plan.test_world, plan.test_edits),
    ):
        arguments = ["--seed", str(world), "--count", str(count), "--candidates", "1"]
        _command(["generate", *arguments, "--out", str(around.data(split))])
        around.say(f"{split}: {count} edits of world {world}")


def _command(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "edit_rrm_shapes.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EditTrainingError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")


def settings_of_run(run: Run, plan: EditPlan, around: Surroundings, url: str) -> TrainSettings:
    """The settings file, with what the plan decides before it. Every measured checkpoint is kept."""
    assignments = {
        "out": around.training(run),
        "policy.name": plan.editor,
        "data.edits": f"[{around.data(TRAIN) / EDITS}]",
        "data.held_out": around.data(GRID) / EDITS,
        "grid_edits": plan.grid_edits,
        "grid_every": plan.measure_every,
        "save_every": math.gcd(plan.measure_every, SAVE_EVERY),
        "keep": plan.updates,
        "updates": plan.updates,
        "seed": run.seed,
        "reward.urls": f"[{url}]",
    }
    return load_settings(around.config, [*(f"{n}={v}" for n, v in assignments.items()), *plan.settings])


def _train(run: Run, plan: EditPlan, around: Surroundings) -> None:
    with serving(plan.rewards[run.reward], around.out / "logs" / f"serve-{run}.log") as url:
        ending = run_training(settings_of_run(run, plan, around, url))
    if ending != "finished":
        raise EditTrainingError(f"the training of {run} was {ending}; the same command goes on with it")


def _measure(run: Run, plan: EditPlan, around: Surroundings) -> None:
    left = [update for update in measured_updates(plan) if not _file(around, run, update).exists()]
    if not left:
        return
    with serving(plan.rewards[run.reward], around.out / "logs" / f"serve-{run}.log") as url:
        settings = settings_of_run(run, plan, around, url)
        for update in left:
            editor, adapter = _editor_after(update, run, plan, around, settings)
            out = around.measurement(run, update)
            measured = measure(
                editor, adapter, around.data(TEST), out, url,
                steps=settings.sampling.steps, seed=0, say=around.say,
            )  # fmt: skip
            write_measured(_file(around, run, update), measured)
            done = sum(one.success for one in measured)
            around.say(f"after {update} updates: {done} of {len(measured)} successful")


def _file(around: Surroundings, run: Run, update: int) -> Path:
    return around.measurement(run, update).with_suffix(".jsonl")


def _editor_after(
    update: int, run: Run, plan: EditPlan, around: Surroundings, settings: TrainSettings
) -> tuple[str, Path | None]:
    """The pipeline's folder, or the editor it began as and the adapter of a checkpoint."""
    if update == 0:
        return plan.editor, None
    folder = around.training(run) / FOLDER / update_name(update) / POLICY
    if settings.policy.lora is None:
        return str(folder), None
    return plan.editor, folder
