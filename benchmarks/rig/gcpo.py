"""A GCPO trainer as `run_gcpo` has it, on pairs that a benchmark holds in memory; rollouts; pairs; large
pictures, and a model that can look at them on a CPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2VLImageProcessor
from trl.trainer.utils import split_tensor_dict

from edit_rrm.checkpoint import write_card
from edit_rrm.judges import get_profile
from edit_rrm.principles import numbered
from edit_rrm.prompts import PromptProfile
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card
from edit_rrm_shapes.tiny_rrm.model import build_config, build_processor, new_model
from edit_rrm_shapes.tiny_rrm.tokenizer import build_tokenizer
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.data.trl_rows import PairRows, Row
from edit_rrm_training.gcpo.run import grpo_arguments
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.rollouts.preprocessed_once import RolloutImages, stacked
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
    scored = trainer._generate_and_score_completions(rows)
    return [stacked(part) for part in split_tensor_dict(scored, parts)]


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


def large_pairs(folder: Path, count: int, side: int) -> list[PreferencePair]:
    """`shapes_pairs` whose pictures are files in `folder`, so many pixels wide and high."""
    pairs = []
    for index, pair in enumerate(shapes_pairs(count)):
        edit = make_edit(WORLD, index, 4)
        pictures = {"source": edit.picture()} | {
            name: edit.candidates[place].picture()
            for place, name in enumerate(("preferred", "non_preferred"))
        }
        for name, picture in pictures.items():
            picture.resize((side, side)).save(folder / f"{index}-{name}.png")
        pairs.append(pair.model_copy(update={name: f"{index}-{name}.png" for name in pictures}))
    return pairs


def save_large_eyed(directory: Path, side: int) -> Path:
    """An untrained checkpoint that is shown pictures of that side in patches of 14 pixels, as Qwen2.5-VL's
    are; it has one vision layer, with windows, so that a CPU can run it."""
    tokenizer = build_tokenizer(corpus_size=600)
    config = build_config(tokenizer, "s")
    config.text_config.max_position_embeddings = 16384
    config.vision_config.patch_size = 14
    config.vision_config.depth = 1
    config.vision_config.fullatt_block_indexes = []
    new_model(tokenizer, 0, config).save_pretrained(directory)
    processor = build_processor(tokenizer)
    size = {"shortest_edge": 56 * 56, "longest_edge": 16384 * 28 * 28}
    processor.image_processor = Qwen2VLImageProcessor(patch_size=14, size=size)
    processor.save_pretrained(directory)
    write_card(directory, tiny_card("large-eyed", {}).model_copy(update={"max_image_side": side}))
    return directory


@contextmanager
def preprocessed_for_every_trace(processor: Any, device: torch.device) -> Iterator[RolloutImages]:
    """The plain way, where a trainer has `preprocessed_once`."""
    yield RolloutImages(processor.image_processor, device)
