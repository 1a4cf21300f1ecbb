"""A GCPO trainer as `run_gcpo` has it, on pairs that a benchmark holds in memory; rollouts; pairs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trl.trainer.utils import split_pixel_values_by_grid, split_tensor_dict, unsplit_pixel_values_by_grid

from edit_rrm.judges import get_profile
from edit_rrm.principles import numbered
from edit_rrm.prompts import PromptProfile
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.trl_rows import PairRows, Row
from edit_rrm_training.gcpo.run import grpo_arguments
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.runs.checkpoints import load_base
from edit_rrm_training.runs.settings import GcpoConfig

WORLD = 3000


def trainer_of(
    config: GcpoConfig,
    pairs: Sequence[PreferencePair],
    folder: Path = Path(),
    *,
    profile: PromptProfile | None = None,
    generation: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[GcpoTrainer, PairRows]:
    """The trainer of one process and its rows; paths in pairs are relative to `folder`, `options` TRL's.

    `profile` in place of the checkpoint's, `generation` as TRL's `generation_kwargs`.
    """
    base = load_base(config)
    profile = profile or get_profile(base.card.profile)
    rows = PairRows(pairs, folder, profile, base.card.scale)
    arguments = grpo_arguments(config, 1)
    arguments.generation_kwargs = generation
    trainer = GcpoTrainer(
        base.model, rows, None, profile, share_prompts=config.share_prompts, credit=config.credit,
        args=arguments, processing_class=base.processor, **options,
    )  # fmt: skip
    return trainer, rows


def roll_out(trainer: GcpoTrainer, rows: Sequence[Row], parts: int) -> list[dict[str, Any]]:
    """The scored traces of one rollout of these rows, one trace each, in as many equal parts, in order."""
    scored = split_pixel_values_by_grid(trainer._generate_and_score_completions(rows))
    return [unsplit_pixel_values_by_grid(part) for part in split_tensor_dict(scored, parts)]


def shapes_pairs(count: int) -> list[PreferencePair]:
    """Candidates 0 and 1 of so many edits of a world nobody trains on, with gold principles, by reference;
    the first is taken for the preferred one."""
    pairs = []
    for index in range(count):
        edit = make_edit(WORLD, index, 4)
        pairs.append(PreferencePair(
            id=str(index), source=str(ShapesRef(WORLD, index)), instruction=edit.request.instruction,
            principles=numbered((check.category, check.question) for check in edit.checks),
            preferred=str(ShapesRef(WORLD, index, 0)), non_preferred=str(ShapesRef(WORLD, index, 1)),
            label="prefer",
        ))  # fmt: skip
    return pairs
