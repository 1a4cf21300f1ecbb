"""The tiny model: tokenizer, processor, batches, training steps."""

import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from edit_rrm.checkpoint import read_card, write_card
from edit_rrm.cpu import has_bfloat16
from edit_rrm_server.settings.server import BUNDLED_MODEL
from edit_rrm_shapes.tiny_rrm import training
from edit_rrm_shapes.tiny_rrm.batches import LossWeights, StepBatches, encode
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card, write_model_card
from edit_rrm_shapes.tiny_rrm.looking import CLASSES, GRID, LookBatches, Looker, run_look_stage, token_names
from edit_rrm_shapes.tiny_rrm.model import build_config, build_processor, new_model, save_servable
from edit_rrm_shapes.tiny_rrm.muon import Muon, orthogonalised
from edit_rrm_shapes.tiny_rrm.recipe import continue_with, load_processor, train
from edit_rrm_shapes.tiny_rrm.tasks import (
    BASE_MIX,
    FIND_MIX,
    POLISH_MIX,
    READ_MIX,
    SEE_MIX,
    SFT_MIX,
    Task,
    make_sample,
)
from edit_rrm_shapes.tiny_rrm.tokenizer import CONTROL_TOKENS, build_tokenizer
from edit_rrm_shapes.tiny_rrm.training import Stage, completion_loss, prepare_fast, run_stage
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.scene import CELLS, scene_of_look_alikes
from edit_rrm_training.data.samples import prompt_text
from edit_rrm_training.runs.equal_images import batch_vision_attention

STAGE = Stage("probe", SFT_MIX, steps=4, seed=3, batch_size=2, warmup_steps=2)


@pytest.fixture(scope="module")
def processor() -> Qwen2_5_VLProcessor:
    return build_processor(build_tokenizer(corpus_size=600))


@pytest.mark.slow
def test_the_tokenizer_is_reproducible_and_splits_digits(processor: Qwen2_5_VLProcessor) -> None:
    tokenizer = processor.tokenizer
    assert build_tokenizer(corpus_size=600).get_vocab() == tokenizer.get_vocab()
    assert tokenizer.tokenize("12") == ["1", "2"]
    assert tokenizer.tokenize(" => 1") == ["Ġ=>", "Ġ", "1"]
    for cell in CELLS:
        assert (
            len(tokenizer.tokenize(f"{cell}:\n{cell} at the {cell}"))
            == len(tokenizer.tokenize(":\n at the")) + 3
        )
    for token in CONTROL_TOKENS:
        assert len(tokenizer(token)["input_ids"]) == 1
    text = "wörds no corpus has: 漢字 ☃"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_our_token_layout_is_the_processor_s_own(processor: Qwen2_5_VLProcessor) -> None:
    """The prompt's ids and pixel tensors in training are bit for bit what a server's processor makes."""
    sample = make_sample(Task.VERIFY, 1, 0)
    served = processor(text=[prompt_text(processor, sample)], images=list(sample.images), return_tensors="pt")
    encoded = encode(processor, sample)
    assert list(encoded.tokens[: encoded.prompt_length]) == served["input_ids"][0].tolist()
    dataset = StepBatches(processor, {Task.VERIFY: 1.0}, 1, 2, 4)
    batch = dataset[0]
    assert torch.equal(
        processor.image_processor(images=list(sample.images), return_tensors="pt")["pixel_values"],
        served["pixel_values"],
    )
    assert batch.image_grid_thw.tolist() == [[1, 12, 12]] * 4
    assert (batch.input_ids == processor.image_token_id).sum() == 4 * 36


def test_a_saved_processor_prepares_the_same_pixels(processor: Qwen2_5_VLProcessor, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    images = list(make_sample(Task.VERIFY, 1, 5).images)
    ours = processor.image_processor(images=images, return_tensors="pt")["pixel_values"]
    theirs = loaded.image_processor(images=images, return_tensors="pt")["pixel_values"]
    assert torch.equal(ours, theirs)
    assert loaded.tokenizer.get_vocab() == processor.tokenizer.get_vocab()


def test_loss_weights_single_out_verdicts_seen_words_and_score(processor: Qwen2_5_VLProcessor) -> None:
    sample = make_sample(Task.VERIFY, 1, 2)
    encoded = encode(processor, sample)
    weights = LossWeights(processor)(encoded)
    tokens = processor.tokenizer.convert_ids_to_tokens(encoded.tokens)
    verdicts = [tokens[i] for i, w in enumerate(weights) if w == 3.0]
    lines = sample.completion.splitlines()[:-2]
    assert verdicts == [line[-1] for line in lines]
    assert min(weights[encoded.prompt_length :]) == 1.0
    prompt = weights[: encoded.prompt_length]
    learned = [token for token, weight in zip(encoded.tokens, prompt, strict=False) if weight]
    assert set(prompt) == {0.0, 0.5, 2.0}
    places = [token for token, weight in zip(encoded.tokens, prompt, strict=False) if weight == 2.0]
    assert len(places) >= 3
    assert all(processor.tokenizer.decode([token]).strip() in CELLS for token in places)
    assert processor.tokenizer.decode(learned) == sample.principles.removesuffix("?")
    blind = encode(processor, make_sample(Task.READ, 1, 2))
    assert not any(LossWeights(processor)(blind)[: blind.prompt_length])


def test_positions_of_a_batch_are_the_model_s_own(processor: Qwen2_5_VLProcessor) -> None:
    model = new_model(processor.tokenizer, seed=0)
    for task in (Task.READ, Task.LOOK_ALIKES, Task.VERIFY):
        batch = StepBatches(processor, {task: 1.0}, 1, 3, 4)[0]
        places, _ = model.model.get_rope_index(
            batch.input_ids, mm_token_type_ids=batch.mm_token_type_ids, image_grid_thw=batch.image_grid_thw
        )
        assert torch.equal(batch.position_ids, places)


def test_pictures_of_any_one_size_are_placed_as_the_tower_places_them_itself(
    processor: Qwen2_5_VLProcessor,
) -> None:
    ours, plain = (new_model(processor.tokenizer, seed=0).model.visual.eval() for _ in range(2))
    for model in (ours, plain):  # some layers attend in windows, as in large models
        model.fullatt_block_indexes = [1]
        model.window_size = 32
    batch_vision_attention(SimpleNamespace(model=SimpleNamespace(visual=ours)))  # type: ignore[arg-type]
    ours = copy.deepcopy(ours)
    with torch.no_grad():
        for rows, columns in ((8, 4), (4, 8)):
            grid = torch.tensor([[1, rows, columns]] * 3)
            pixels = torch.randn(3 * rows * columns, 384)
            expected = plain(pixels, grid_thw=grid).pooler_output
            torch.testing.assert_close(ours(pixels, grid_thw=grid).pooler_output, expected)


def test_in_a_scene_of_look_alikes_most_things_share_their_colour() -> None:
    scenes = [scene_of_look_alikes(random.Random(seed)) for seed in range(200)]
    colours = [[thing.colour for thing in scene.things] for scene in scenes]
    assert all(len(set(each)) <= 2 for each in colours)
    shared = [each.count(colour) > 1 for each in colours for colour in each]
    assert sum(shared) / len(shared) > 0.6


def test_batches_are_a_function_of_seed_and_step(processor: Qwen2_5_VLProcessor) -> None:
    a, b = (StepBatches(processor, SFT_MIX, 9, 2, 16) for _ in range(2))
    assert torch.equal(a[6].input_ids, b[6].input_ids)
    a[1]
    assert torch.equal(a[6].pixel_values, b[6].pixel_values)
    assert {a[step].task for step in range(0, 16, 4)} <= set(SFT_MIX)


def test_vision_attention_over_a_batch_equals_one_image_at_a_time(processor: Qwen2_5_VLProcessor) -> None:
    model = new_model(processor.tokenizer, 0).eval()
    batch = StepBatches(processor, {Task.VERIFY: 1.0}, 1, 2, 4)[0]
    with torch.no_grad():
        separate = model.model.visual(batch.pixel_values, grid_thw=batch.image_grid_thw).pooler_output
        batch_vision_attention(model)
        together = model.model.visual(batch.pixel_values, grid_thw=batch.image_grid_thw).pooler_output
    assert torch.allclose(separate, together, atol=1e-5)
    assert separate.abs().mean() > 1e-3


def test_padding_does_not_change_the_loss(processor: Qwen2_5_VLProcessor) -> None:
    model = new_model(processor.tokenizer, 0).eval()
    batch = StepBatches(processor, {Task.VERIFY: 1.0}, 1, 2, 4)[1]
    pad = torch.full((2, 40), processor.tokenizer.pad_token_id)
    wider = replace(
        batch,
        input_ids=torch.cat([batch.input_ids, pad], 1),
        position_ids=torch.cat([batch.position_ids, torch.zeros(3, 2, 40, dtype=torch.int64)], 2),
        loss_weights=torch.cat([batch.loss_weights, torch.zeros(2, 40)], 1),
        mm_token_type_ids=torch.cat([batch.mm_token_type_ids, torch.zeros(2, 40, dtype=torch.int64)], 1),
    )
    with torch.no_grad():
        assert completion_loss(model, wider).item() == pytest.approx(
            completion_loss(model, batch).item(), abs=1e-5
        )


@pytest.mark.slow
def test_a_resumed_stage_ends_with_the_weights_of_a_straight_one(
    processor: Qwen2_5_VLProcessor, tmp_path: Path
) -> None:
    straight = new_model(processor.tokenizer, 1)
    run_stage(STAGE, straight, processor, tmp_path / "straight", workers=0)
    first = new_model(processor.tokenizer, 1)
    run_stage(STAGE, first, processor, tmp_path / "resumed", workers=0, stop_after=2)
    second = new_model(processor.tokenizer, 2)  # whatever it holds, the checkpoint decides
    run_stage(STAGE, second, processor, tmp_path / "resumed", workers=0)
    for (name, a), b in zip(straight.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    logged = [
        json.loads(line)["step"] for line in (tmp_path / "resumed" / "probe.jsonl").read_text().splitlines()
    ]
    assert logged == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_few_steps_lower_the_loss_on_what_was_seen(processor: Qwen2_5_VLProcessor, tmp_path: Path) -> None:
    model = new_model(processor.tokenizer, 1)
    batch = StepBatches(processor, BASE_MIX, 3, 4, 4)[0]
    before = completion_loss(model, batch).item()
    stage = Stage("few", BASE_MIX, steps=8, seed=3, batch_size=4, warmup_steps=2)
    run_stage(stage, model, processor, tmp_path, workers=0)
    assert completion_loss(model, batch).item() < before - 0.5


@pytest.mark.slow
def test_a_fast_stage_has_nearly_the_losses_of_one_in_float32(
    processor: Qwen2_5_VLProcessor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "compile_layers", lambda model: None)  # tests/rrm_training/test_sft.py does
    look = Stage("look", {}, steps=2, seed=5, batch_size=4)
    losses: dict[bool, list[float]] = {}
    for fast in (False, True):
        model, found = new_model(processor.tokenizer, 1), losses.setdefault(fast, [])
        if fast:
            prepare_fast(model)
        for stage, run in ((look, run_look_stage), (replace(STAGE, steps=2), run_stage)):
            run(
                stage, model, processor, tmp_path / str(fast), fast=fast, workers=0,
                on_step=lambda report, found=found: found.append(report.loss),
            )  # fmt: skip
    assert losses[True] == pytest.approx(losses[False], rel=2e-2)
    assert (losses[True] != losses[False]) is has_bfloat16(torch.cpu.get_capabilities())


@pytest.mark.slow
def test_the_whole_recipe_leaves_servable_checkpoints(tmp_path: Path) -> None:
    look = Stage("look", {}, steps=1, seed=5, batch_size=4)
    read = Stage("read", READ_MIX, steps=1, seed=4, batch_size=2)
    see = Stage("see", SEE_MIX, steps=1, seed=3, batch_size=2)
    base = Stage("base", BASE_MIX, steps=2, seed=1, batch_size=2)
    sft = Stage("sft", SFT_MIX, steps=2, seed=2, batch_size=2)
    seen: list[str] = []
    polish = Stage("polish", POLISH_MIX, steps=1, seed=6, batch_size=2)
    find = Stage("find", FIND_MIX, steps=1, seed=7, batch_size=2)
    stages = (look, read, see, base, sft, polish, find)
    train(tmp_path, *stages, workers=0, on_step=lambda stage, report: seen.append(stage.name))
    assert seen == ["look", "read", "see", "base", "base", "sft", "sft", "polish", "find"]
    for stage in ("read", "see", "base", "sft", "polish", "find"):
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path / stage)
        assert model.num_parameters() == pytest.approx(4.1e6, rel=0.1)
    # A finished run is not repeated.
    train(tmp_path, *stages, workers=0, on_step=lambda stage, report: seen.append(stage.name))
    assert len(seen) == 9
    # The last stage alone, on a finished checkpoint: other weights, the same tokens.
    continued = tmp_path / "continued"
    continue_with(tmp_path / "find", continued, replace(find, seed=8), workers=0)
    before, after = (
        Qwen2_5_VLForConditionalGeneration.from_pretrained(directory / "find").state_dict()
        for directory in (tmp_path, continued)
    )
    assert any(not torch.equal(before[name], after[name]) for name in before)
    kept, given = ((d / "find" / "tokenizer.json").read_text() for d in (continued, tmp_path))
    assert kept == given


def test_bundled_weights_are_half_precision_with_their_card(
    processor: Qwen2_5_VLProcessor, tmp_path: Path
) -> None:
    model = new_model(processor.tokenizer, 0)
    save_servable(model, processor.tokenizer, tmp_path, torch.float16)
    write_card(tmp_path, tiny_card("edit-rrm-tiny", {"command": "x"}))
    assert sum(p.stat().st_size for p in tmp_path.glob("*")) < 10e6
    loaded = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    drift = max(
        (a - b).abs().max()
        for a, b in zip(model.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert 0 < drift < 1e-3
    assert read_card(tmp_path).profile == "trained"


def test_the_bundled_model_s_readme_is_what_is_written_today(tmp_path: Path) -> None:
    write_card(tmp_path, read_card(BUNDLED_MODEL))
    write_model_card(tmp_path, "RESULTS")
    head = (tmp_path / "README.md").read_text().partition("RESULTS")[0]
    assert (BUNDLED_MODEL / "README.md").read_text().startswith(head)
    assert "- `edit-rrm-shapes tiny-rrm --look-steps 500 " in head
    assert "edit-rrm-train tiny" not in head


def test_head_sizes_suit_vllm_s_cpu_attention(processor: Qwen2_5_VLProcessor) -> None:
    config = build_config(processor.tokenizer)
    text, vision = config.text_config, config.vision_config
    assert text.hidden_size // text.num_attention_heads == 64
    assert vision.hidden_size // vision.num_heads == 32
    assert list(vision.fullatt_block_indexes) == list(range(vision.depth))


@pytest.mark.slow
def test_load_processor_builds_once(tmp_path: Path) -> None:
    first = load_processor(tmp_path)
    stamp = (tmp_path / "processor" / "tokenizer.json").stat().st_mtime_ns
    second = load_processor(tmp_path)
    assert (tmp_path / "processor" / "tokenizer.json").stat().st_mtime_ns == stamp
    assert first.tokenizer.get_vocab() == second.tokenizer.get_vocab()


def test_tokens_are_named_after_what_their_cell_shows() -> None:
    scene = make_edit(1, 3, 1).source
    named = {name: [] for name in CLASSES}
    for row in range(GRID):
        for column in range(GRID):
            for name, value in zip(CLASSES, token_names(scene, row, column), strict=True):
                named[name].append(value)
                assert value in CLASSES[name]
    for cell in range(len(CELLS)):
        top, left = cell // 3 * GRID // 3, cell % 3 * GRID // 3
        thing = scene.at(cell)
        for row, column in ((top, left), (top + 1, left + 1)):
            assert named["colour"][row * GRID + column] == (thing.colour if thing else "empty")
            assert named["shape"][row * GRID + column] == (thing.shape if thing else "empty")
    assert set(named["objects"]) == {str(len(scene.things))}


def test_looking_teaches_the_vision_tower_alone(processor: Qwen2_5_VLProcessor, tmp_path: Path) -> None:
    model = new_model(processor.tokenizer, 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    stage = Stage("look", {}, steps=6, seed=3, batch_size=8, warmup_steps=2)
    losses: list[float] = []
    run_look_stage(
        stage, model, processor, tmp_path, workers=0, on_step=lambda report: losses.append(report.loss)
    )
    assert losses[-1] < losses[0] - 0.5
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all("visual" in name for name in changed)


def test_look_batches_are_a_function_of_seed_and_step(processor: Qwen2_5_VLProcessor) -> None:
    first, second = (LookBatches(processor, 5, 6, 4)[2] for _ in range(2))
    assert torch.equal(first.pixel_values, second.pixel_values)
    assert first.labels.shape == (6 * GRID * GRID, len(CLASSES))
    assert len(first) == 6
    logits = Looker(new_model(processor.tokenizer, 0)).logits(first)
    assert [tuple(part.shape) for part in logits] == [
        (len(first.labels), len(names)) for names in CLASSES.values()
    ]


@pytest.mark.parametrize("shape", [(24, 24), (8, 40), (40, 8)])
def test_muon_s_directions_are_orthogonal(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalised(matrix)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    singular = torch.linalg.svdvals(found)
    assert found.shape == matrix.shape
    assert 0.5 < singular.min() <= singular.max() < 1.3
    assert torch.nn.functional.cosine_similarity(found.flatten(), (u @ vt).flatten(), dim=0) > 0.95


def test_muon_reaches_a_matrix_that_gradient_points_to() -> None:
    generator = torch.Generator().manual_seed(0)
    goal = torch.randn(12, 20, generator=generator)
    matrix = torch.nn.Parameter(torch.zeros(12, 20))
    idle = torch.nn.Parameter(torch.ones(3, 3))
    optimizer = Muon([matrix, idle], lr=0.2, weight_decay=0.0)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 200)
        optimizer.zero_grad()
        (matrix - goal).square().mean().backward()
        optimizer.step()
    assert (matrix - goal).abs().max() < 0.1
    assert torch.equal(idle, torch.ones(3, 3))
    with pytest.raises(ValueError, match="matrices"):
        Muon([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
