"""Pictures and prompts preprocessed once a rollout: the tensors of the plain way, from far less work."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from any_text import AnyText
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor
from trl.trainer.utils import unsplit_pixel_values_by_grid

from edit_rrm_training.gcpo import run as gcpo_run
from edit_rrm_training.gcpo import trainer as gcpo_trainer
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.gcpo.trainer import GcpoTrainer
from edit_rrm_training.rollouts.preprocessed_once import RolloutImages, preprocessed_once, stacked
from edit_rrm_training.runs.settings import GcpoConfig
from families.checkpoints import FAMILIES, save_family
from shapes_rows import pair, write_lines

CPU = torch.device("cpu")


@contextmanager
def plainly(processor: Any, device: torch.device) -> Iterator[RolloutImages]:
    """Nothing stands where the image processor does."""
    yield RolloutImages(processor.image_processor, device)


def picture(seed: int, size: tuple[int, int]) -> Image.Image:
    pixels = torch.randint(0, 256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(pixels.byte().numpy())


def seen_by(processor: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of the real image processor is given, from now on."""
    seen: list[int] = []
    preprocess = type(processor.image_processor)._preprocess

    def counted(self: Any, images: Any, *args: Any, **options: Any) -> Any:
        seen.append(len(images))
        return preprocess(self, images, *args, **options)

    monkeypatch.setattr(type(processor.image_processor), "_preprocess", counted)
    return seen


@pytest.mark.parametrize("key", sorted(FAMILIES))
def test_every_family_s_tensors_are_those_of_the_plain_way_to_the_bit(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = AutoProcessor.from_pretrained(save_family(key, tmp_path), padding_side="left")
    source, first, second = picture(1, (64, 96)), picture(2, (64, 96)), picture(3, (96, 64))
    images = [[source, first]] * 3 + [[source.copy(), second]] * 3
    said = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "0 or 1?"}]
    if key == "llava":  # strings only
        text = ["USER: <image>\n<image>\n0 or 1? ASSISTANT:"] * 6
    else:
        chat = [{"role": "user", "content": said}]
        text = [processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)] * 6
    given = {"images": images, "text": text, "padding": True, "return_tensors": "pt"}
    plain = dict(processor(**given))
    seen = seen_by(processor, monkeypatch)
    parts = processor.image_processor, processor.tokenizer
    with preprocessed_once(processor, CPU) as pictures:
        found = [pictures.whole(processor(**given)) for _ in range(2)]
    assert (processor.image_processor, processor.tokenizer) == parts
    if key == "llava_onevision":  # says how many pictures a row has: the plain way, remembered
        assert seen == [3, 12]
    else:
        assert seen == [3]
    for once in found:
        assert once.keys() == plain.keys()
        for name, of_all in plain.items():
            assert torch.equal(torch.as_tensor(once[name]), torch.as_tensor(of_all)), name


@pytest.fixture
def config(untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GcpoConfig:
    monkeypatch.setattr(gcpo_run, "get_profile", lambda name: AnyText())
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    return GcpoConfig(
        base=untrained, out=tmp_path / "run", pairs=pairs, steps=2, traces=2, pairs_per_step=2,
        batch_per_device=4, max_trace_tokens=12, lr=1e-3, dtype="float32", gradient_checkpointing=False,
        workers=0, save_every=2,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [
        {},
        {"share_prompts": True},
        {"share_prompts": True, "credit": "all_scores"},
        {"updates_per_rollout": 2, "kl": 0.1, "steps": 4},  # old log-probabilities, and a base's
    ],
    ids=["plain", "shared", "all scores", "twice with kl"],
)
def test_a_run_has_the_weights_of_one_that_preprocesses_for_every_trace(
    config: GcpoConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any]
) -> None:
    config = config.model_copy(update=way)
    once = run_gcpo(config)
    monkeypatch.setattr(gcpo_trainer, "preprocessed_once", plainly)
    plain = run_gcpo(config.model_copy(update={"out": tmp_path / "plain"}))
    assert once is not None
    assert plain is not None
    base, mine, theirs = (load_file(at / "model.safetensors") for at in (config.base, once, plain))
    assert all(torch.equal(mine[name], weight) for name, weight in theirs.items())
    assert any(not torch.equal(weight, base[name]) for name, weight in mine.items())


@pytest.mark.slow
def test_a_rollout_preprocesses_three_pictures_a_pair_and_holds_two_tensors_of_pixels(
    config: GcpoConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollouts: list[dict[str, Any]] = []
    generate = GcpoTrainer._generate_and_score_completions

    def record(self: GcpoTrainer, inputs: Any) -> Any:
        seen.clear()
        rollouts.append(generate(self, inputs))
        assert sum(seen) == 6  # two pairs: a source and two edited pictures each
        return rollouts[-1]

    seen = seen_by(AutoProcessor.from_pretrained(config.base), monkeypatch)
    monkeypatch.setattr(GcpoTrainer, "_generate_and_score_completions", record)
    run_gcpo(config)
    for rollout in rollouts:
        pixels = rollout["pixels_by_row"]
        assert len(pixels) == 8  # 2 pairs × 2 images × 2 traces
        assert len({tensor.data_ptr() for tensor in pixels}) == 4
        flat = stacked(rollout)
        by_trl = {"pixel_values": pixels, "image_grid_thw": rollout["grids_by_row"]}
        assert torch.equal(flat["pixel_values"], unsplit_pixel_values_by_grid(by_trl)["pixel_values"])
        assert int(flat["image_grid_thw"].prod(dim=1).sum()) == len(flat["pixel_values"])
