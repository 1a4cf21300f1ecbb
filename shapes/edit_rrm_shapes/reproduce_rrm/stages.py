"""What each kind of stage does, in this process: every one goes on where it was and ends with its outputs.

They call what the commands of this package call. How a checkpoint is asked is given (`OpenEngine`).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edit_rrm.checkpoint import RRMCard, read_card
from edit_rrm.run_directories import FINAL
from edit_rrm_shapes.reproduce_rrm.graph import Model, Stage
from edit_rrm_shapes.reproduce_rrm.plan import Plan, Variant
from edit_rrm_training.evaluation.in_process import Completer, InProcessJudge, ScoreOnlyJudge

if TYPE_CHECKING:
    from edit_rrm_training.runs.settings import GcpoConfig

ROWS: Mapping[Variant, tuple[str, ...]] = {
    "t": ("think", "decompose"),
    "v": ("verify", "decompose"),
    "tv": ("think+verify", "decompose"),
    "scorer": ("score-only",),
}
"""Which files of the data pipeline a variant learns. The scorer has no principles to write."""

OpenEngine = Callable[[Path], Completer]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Surroundings:
    """Where the stages write, and what they run with."""

    out: Path
    results: Path
    """Where the table goes."""
    open_engine: OpenEngine
    workers: int = 0
    train_bases: bool = False
    """Also where the package has them."""
    say: Say = print

    def pairs(self, split: str) -> Path:
        """The preference pairs of `train`, `validation` or `test`."""
        return self.out / "data" / f"{split}-pairs.jsonl"

    def checkpoint(self, model: Model) -> Path:
        """The finished checkpoint of a model."""
        return self.out / model.stage / FINAL


def run_stage(stage: Stage, plan: Plan, around: Surroundings) -> None:
    """Runs what is left of a stage. Raises TrainingError."""
    match stage.kind:
        case "data":
            _data(plan, around)
        case "base":
            _base(stage, plan, around)
        case "sft":
            _sft(stage, plan, around)
        case "gcpo":
            _gcpo(stage, plan, around)
        case "evaluate":
            _evaluate(stage, plan, around)
        case "table":
            from edit_rrm_shapes.reproduce_rrm.reporting import write_results

            write_results(plan, around.out, around.results)


def _data(plan: Plan, around: Surroundings) -> None:
    from edit_rrm_shapes.reproduce_rrm.screening import close_pairs
    from edit_rrm_shapes.teachers.editor import ShapesEditor
    from edit_rrm_shapes.teachers.simulated import pipeline_file
    from edit_rrm_shapes.world.rows import shapes_edit_rows, shapes_pair_rows
    from edit_rrm_training.data.jsonl import write_rows
    from edit_rrm_training.pipeline.candidates import candidates
    from edit_rrm_training.pipeline.decompose import decompose
    from edit_rrm_training.pipeline.reason import reason
    from edit_rrm_training.pipeline.selecting import select
    from edit_rrm_training.pipeline.settings import read_settings
    from edit_rrm_training.pipeline.verify import verify

    data, folder = plan.data, around.out / "data"
    edits, decomposed, quadruples, traces, gold = (
        folder / f"{name}.jsonl" for name in ("edits", "decomposed", "quadruples", "traces", "gold")
    )
    train = shapes_pair_rows(data.pairs_world, data.pairs_edits, data.candidates)
    kept = write_rows(around.pairs("train"), close_pairs(train, data.pairs_within))
    around.say(f"train: {kept} pairs of {data.pairs_edits} edits of world {data.pairs_world}")
    for split, world, count in (
        ("validation", data.validation_world, data.validation_edits),
        ("test", data.test_world, data.test_edits),
    ):
        written = write_rows(around.pairs(split), shapes_pair_rows(world, count, data.candidates))
        around.say(f"{split}: {written} pairs of {count} edits of world {world}")
    if not edits.exists():
        write_rows(edits, shapes_edit_rows(data.world, data.edits))
    settings = read_settings(str(pipeline_file()))

    async def pipeline() -> None:
        around.say(f"decompose: {await decompose(settings, edits, decomposed)}")
        made = await candidates([ShapesEditor()], data.candidates, settings.seed, decomposed, quadruples)
        around.say(f"candidates: {made}")
        around.say(f"reason: {await reason(settings, quadruples, traces)}")
        around.say(f"verify: {await verify(settings, quadruples, traces, gold)}")

    asyncio.run(pipeline())
    chosen = select(quadruples, traces, gold, decomposed, folder / "sft", seed=settings.seed)
    around.say(f"select: {chosen}")


def _base(stage: Stage, plan: Plan, around: Surroundings) -> None:
    from edit_rrm_shapes.reproduce_rrm.bases import bundled_base, take_base
    from edit_rrm_shapes.tiny_rrm.base import train_base
    from edit_rrm_shapes.tiny_rrm.training import Stage as TrainingStage
    from edit_rrm_shapes.tiny_rrm.training import StepReport

    def on_step(training: TrainingStage, report: StepReport) -> None:
        if (report.step + 1) % 50 == 0:
            around.say(f"{training.name} {report.step + 1} of {training.steps}: loss {report.loss:.3f}")

    assert stage.size is not None
    bundled = None if around.train_bases else bundled_base(stage.size, plan.base)
    if bundled is not None:
        around.say(take_base(bundled, around.out / stage.name / "base"))
        return
    train_base(around.out / stage.name, stage.size, plan.base, workers=around.workers, on_step=on_step)


def _sft(stage: Stage, plan: Plan, around: Surroundings) -> None:
    from edit_rrm_training.runs.settings import SftConfig
    from edit_rrm_training.sft.run import run_sft

    assert stage.model is not None
    model, sft = stage.model, plan.sizes[stage.model.size].sft
    run_sft(
        SftConfig(
            base=around.out / f"base-{model.size}" / "base", out=around.out / stage.name,
            name=f"edit-rrm-tiny-{model}",
            rows=tuple(around.out / "data" / "sft" / f"{name}.jsonl" for name in ROWS[model.variant]),
            steps=sft.steps, batch_per_device=sft.batch, lr=sft.lr, warmup_steps=sft.warmup_steps,
            lr_schedule="linear", optimizer="muon", weight_decay=sft.weight_decay,
            token_weights="shapes",
            dtype="bfloat16", compile_layers=plan.compiled, gradient_checkpointing=False, equal_images=True,
            workers=around.workers,
            max_trace_tokens=plan.max_trace_tokens, keep=1,
        ),
        on_log=partial(_say_numbers, around.say, sft.steps, ("loss", "mean_token_accuracy")),
    )  # fmt: skip


def _gcpo(stage: Stage, plan: Plan, around: Surroundings) -> None:
    from edit_rrm_training.gcpo.run import run_gcpo

    assert stage.model is not None
    settings = gcpo_settings(stage.model, plan, around)
    shown = (
        "gcpo/reward", "gcpo/expected_reward", "gcpo/score_margin", "gcpo/unparsed", "gcpo/evidence_kl",
        "eval_accuracy",
    )  # fmt: skip
    run_gcpo(settings, on_log=partial(_say_numbers, around.say, settings.steps, shown), say=around.say)


def gcpo_settings(model: Model, plan: Plan, around: Surroundings) -> "GcpoConfig":
    """What GCPO of a model is run with."""
    from edit_rrm_training.runs.settings import GcpoConfig, RrmLora

    gcpo = plan.sizes[model.size].gcpo_of(model.credit)
    return GcpoConfig(
        base=around.checkpoint(Model(model.size, model.variant)), out=around.out / model.stage,
        name=f"edit-rrm-tiny-{model}", seed=model.seed or 0,
        pairs=around.pairs("train"), validation_pairs=around.pairs("validation"),
        lora=RrmLora(rank=gcpo.lora_rank, alpha=2 * gcpo.lora_rank),
        eval_every=gcpo.eval_every, steps=gcpo.steps, lr=gcpo.lr, warmup_steps=gcpo.warmup_steps,
        lr_schedule=gcpo.lr_schedule,
        traces=gcpo.traces, pairs_per_step=gcpo.pairs_per_step, batch_per_device=gcpo.batch,
        share_prompts=True, credit=gcpo.credit, kl=gcpo.kl,
        temperature=gcpo.temperature, max_trace_tokens=plan.max_trace_tokens,
        dtype="bfloat16", compile_layers=plan.compiled, gradient_checkpointing=False, equal_images=True,
        workers=around.workers,
        save_every=25, keep=1,
    )  # fmt: skip


def _evaluate(stage: Stage, plan: Plan, around: Surroundings) -> None:
    from edit_rrm_shapes.reproduce_rrm.outcomes import outcomes_of, write_outcomes
    from edit_rrm_shapes.world.dataset import SAME_ZONE
    from edit_rrm_shapes.world.evaluation import evaluate_on_world
    from edit_rrm_training.data.preferences import read_pairs
    from edit_rrm_training.evaluation.details import details_of
    from edit_rrm_training.evaluation.report import write_report

    assert stage.model is not None
    checkpoint, data = around.checkpoint(stage.model), plan.data
    card: RRMCard = read_card(checkpoint)
    scorer = stage.model.variant == "scorer"
    judge = (ScoreOnlyJudge if scorer else InProcessJudge)(around.open_engine(checkpoint), card)
    evaluation, judged = evaluate_on_world(
        judge, seed=data.test_world, count=data.test_edits, candidate_count=data.candidates,
        progress=lambda done: around.say(f"{done} of {data.test_edits} edits"),
    )  # fmt: skip
    folder = around.out / stage.name
    write_report(
        folder, evaluation, details_of(judged, verdicts=judge.gives_verdicts, same_zone=SAME_ZONE), judged
    )
    pairs = read_pairs(around.pairs("test")).pairs
    write_outcomes(folder, outcomes_of(judged, pairs, data.test_world))


def _say_numbers(
    say: Say, steps: int, shown: tuple[str, ...], step: int, values: Mapping[str, float]
) -> None:
    numbers = " ".join(f"{n.rpartition('/')[2]} {values[n]:.4g}" for n in shown if n in values)
    say(f"{step} of {steps}: {numbers}")
