"""Pre-training of the shapes editor: its arithmetic, its batches, and a run that goes on to the bit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from shapes_folders import shapes_folder
from typer.testing import CliRunner

from edit_grpo.cli.app import app as grpo_app
from edit_grpo.policies.flux_kontext import FluxKontextPolicy
from edit_grpo.rollout.sde import noised
from edit_rrm.sheets import SheetRow, contact_sheet
from edit_rrm_shapes.cli.app import app
from edit_rrm_shapes.errors import EditsError, RunFolderError
from edit_rrm_shapes.tiny_editor.banks import instruction_bank, picture_bank
from edit_rrm_shapes.tiny_editor.flow_matching import draw_sigmas, flow_matching_loss, level_weights
from edit_rrm_shapes.tiny_editor.loading import load_editor, plain_settings
from edit_rrm_shapes.tiny_editor.pipeline import build_shapes_editor
from edit_rrm_shapes.tiny_editor.run import Pretraining
from edit_rrm_shapes.tiny_editor.settings import FlowSettings, PretrainSettings, VaeSettings
from edit_rrm_shapes.tiny_editor.shapes_edits import ShapesExamples, open_picture, read_edits, target_weights
from edit_rrm_shapes.tiny_editor.stepping import StepReport

FLOW = FlowSettings(
    steps=6, batch_size=2, warmup_steps=1, checkpoint_every=3, grid_every=6, grid_edits=2, sampling_steps=2
)
SETTINGS = PretrainSettings(vae=VaeSettings(steps=2, batch_size=1, checkpoint_every=1), flow=FLOW)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes_folder(tmp_path_factory.mktemp("data") / "edits")


def pretrain(data: Path, out: Path, stop_after: int | None = None) -> tuple[list[float], dict[str, object]]:
    """Losses of a piece, and the state it left."""
    edits = read_edits([data])
    losses: list[float] = []

    def note(report: StepReport) -> bool:
        if report.stage == "flow":
            losses.append(report.loss)
        return True

    Pretraining(edits, edits, out, SETTINGS).run(stop_after, note)
    return losses, torch.load(out / "flow.pt", weights_only=True)


def same(left: object, right: object) -> bool:
    """Equality to the bit of what a state is made of."""
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and torch.equal(left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@pytest.mark.slow
def test_three_steps_and_three_more_are_six_to_the_bit(data: Path, tmp_path: Path) -> None:
    straight, whole = pretrain(data, tmp_path / "straight")
    first, half = pretrain(data, tmp_path / "pieces", stop_after=3)
    second, pieces = pretrain(data, tmp_path / "pieces")
    assert first + second == straight
    assert len(set(straight)) == 6
    assert half["step"] == 3
    for part in ("weights", "optimizer", "average"):
        assert same(pieces[part], whole[part])
        assert not same(half[part], whole[part])
    lines = (tmp_path / "pieces" / "flow.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "pieces" / "grids" / "000006.png").is_file()


def test_steps_after_the_last_checkpoint_of_a_killed_run_are_done_again(data: Path, tmp_path: Path) -> None:
    edits = read_edits([data])

    def killed(report: StepReport) -> bool:
        if report.stage == "flow" and report.step == 4:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        Pretraining(edits, edits, tmp_path, SETTINGS).run(on_step=killed)
    losses, _ = pretrain(data, tmp_path)
    assert len(losses) == 3
    lines = (tmp_path / "flow.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2, 3, 4, 5]


def test_an_autoencoder_that_was_stopped_goes_on_to_the_bit(data: Path, tmp_path: Path) -> None:
    edits = read_edits([data])
    stopped = Pretraining(edits, [], tmp_path / "pieces", SETTINGS)
    stopped.run(on_step=lambda report: False)
    assert (stopped.vae.step, stopped.flow.step) == (1, 0)
    assert not (tmp_path / "pieces" / "checkpoint").exists()
    for name in ("straight", "pieces"):
        Pretraining(edits, [], tmp_path / name, SETTINGS).run(stop_after=1)
    straight, pieces = (
        torch.load(tmp_path / name / "vae.pt", weights_only=True)["weights"]
        for name in ("straight", "pieces")
    )
    assert same(straight, pieces)


def test_a_run_folder_refuses_other_settings_and_names_them(data: Path, tmp_path: Path) -> None:
    edits = read_edits([data])
    Pretraining(edits, edits, tmp_path, SETTINGS)
    with pytest.raises(RunFolderError, match=r"lr 0\.001 → 0\.01"):
        Pretraining(
            edits, edits, tmp_path, SETTINGS.model_copy(update={"flow": FLOW.model_copy(update={"lr": 0.01})})
        )


def test_a_run_folder_refuses_other_edits(data: Path, tmp_path: Path) -> None:
    pretrain(data, tmp_path / "run", stop_after=3)
    with pytest.raises(RunFolderError, match="other edits"):
        pretrain(shapes_folder(tmp_path / "more", count=5), tmp_path / "run")


def test_the_checkpoint_is_the_averaged_editor_in_half_precision(data: Path, tmp_path: Path) -> None:
    run = Pretraining(read_edits([data]), [], tmp_path, SETTINGS)
    run.run(stop_after=3)
    state = torch.load(tmp_path / "flow.pt", weights_only=True)
    loaded = load_editor(tmp_path / "checkpoint").pipeline
    parameters = [
        each
        for name in ("transformer", "text_encoder", "text_encoder_2")
        for each in loaded.components[name].parameters()
    ]
    averaged = state["average"]["shadow_params"]
    assert len(parameters) == len(averaged)
    for parameter, average in zip(parameters, averaged, strict=True):
        assert torch.equal(parameter, average.half().float())
    trained = [each.dtype for each in run.policy.trainable()]
    assert set(trained) == {torch.float32}
    size = sum(each.stat().st_size for each in (tmp_path / "checkpoint").rglob("*") if each.is_file())
    assert size < 1e7


def test_sampling_writes_a_picture_for_each_edit_and_a_sheet(data: Path, tmp_path: Path) -> None:
    Pretraining(read_edits([data]), [], tmp_path / "run", SETTINGS).save_checkpoint(tmp_path / "editor")
    arguments = ["sample", "--checkpoint", str(tmp_path / "editor"), "--edits", str(data), "--count", "2"]
    result = CliRunner().invoke(grpo_app, [*arguments, "--steps", "2", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    names = sorted(each.name for each in (tmp_path / "out").iterdir())
    assert names == ["5-0.png", "5-1.png", "contact-sheet.png", "edits.jsonl", "sample.json"]
    assert Image.open(tmp_path / "out" / "5-0.png").size == (96, 96)


def test_a_missing_data_folder_is_answered_with_the_command_that_makes_it(tmp_path: Path) -> None:
    arguments = ["tiny-editor", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "400"})
    assert result.exit_code == 2
    assert "edit-rrm-shapes generate" in result.output


def test_a_broken_row_is_named_with_its_field(tmp_path: Path) -> None:
    (tmp_path / "edits.jsonl").write_text('{"id": "1", "instruction": "", "source": "a.png"}\n')
    with pytest.raises(EditsError, match=r"edits\.jsonl, row 1, field 'instruction'"):
        read_edits([tmp_path])


def test_a_perfect_candidate_weighs_1_and_others_fall_with_the_score() -> None:
    assert target_weights([10.0, 7.0, 4.0], temperature=3.0) == pytest.approx([1.0, 0.3679, 0.1353], abs=1e-4)


def test_good_edits_come_first_and_flaws_after_their_share_of_the_steps() -> None:
    settings = FlowSettings(steps=10, first_share=0.65)
    assert [settings.flawed_at(step) for step in range(10)] == [False] * 7 + [True] * 3


def test_a_run_begins_with_the_weights_of_another_and_with_its_words(data: Path, tmp_path: Path) -> None:
    edits = read_edits([data])
    first = Pretraining(edits, [], tmp_path / "first", SETTINGS)
    first.run(stop_after=3)
    going_on = SETTINGS.model_copy(update={"start_from": str(tmp_path / "first" / "checkpoint")})
    second = Pretraining(edits, [], tmp_path / "second", going_on)
    begun = load_editor(tmp_path / "first" / "checkpoint").pipeline.transformer.state_dict()
    assert same(second.policy.pipeline.transformer.state_dict(), begun)
    others = [replace(edit, instruction="paint it black") for edit in edits]
    with pytest.raises(EditsError, match="knows other words"):
        Pretraining(others, [], tmp_path / "third", going_on)


def test_a_bank_has_what_the_policy_would_encode(data: Path) -> None:
    edits = read_edits([data])
    instructions = ["make the blue square red", "make the red square blue", "remove the square"]
    policy = FluxKontextPolicy(build_shapes_editor(instructions, 0), plain_settings("shapes-editor"))
    device = torch.device("cpu")
    asked = instructions[::-1]
    tokens = instruction_bank(policy.pipeline.tokenizer, instructions, device)
    assert same(policy.encode_tokens(tokens(asked)), policy.encode_text(asked))
    sources = [edit.source for edit in reversed(edits)]
    pixels = picture_bank([edit.source for edit in edits], device)(sources).float() / 127.5 - 1.0
    assert torch.allclose(
        policy.encode_pixels(pixels),
        policy.encode_pictures([open_picture(each) for each in sources]),
        atol=1e-5,
    )


def test_pictures_of_two_sizes_are_refused_by_name(tmp_path: Path) -> None:
    for name, size in (("a.png", 96), ("b.png", 48)):
        Image.new("RGB", (size, size)).save(tmp_path / name)
    with pytest.raises(EditsError, match=r"b\.png is 48×48, others are 96×96"):
        picture_bank([tmp_path / "a.png", tmp_path / "b.png"], torch.device("cpu"))


def test_at_a_low_temperature_only_perfect_candidates_are_drawn(data: Path) -> None:
    examples = ShapesExamples(read_edits([data]), temperature=0.1)
    assert {each.target.name for each in examples.batch(0, 0, 200)} == {f"{n}-0.png" for n in range(4)}


def test_at_a_high_temperature_flawed_candidates_are_drawn_as_often(data: Path) -> None:
    batch = ShapesExamples(read_edits([data]), temperature=1e6).batch(0, 0, 2000)
    assert sum(each.target.name.endswith("-1.png") for each in batch) == pytest.approx(1000, abs=100)


def test_a_share_of_the_edits_is_left_undone_and_the_others_are_those_drawn_without_it(data: Path) -> None:
    edits = read_edits([data])
    with_some = ShapesExamples(edits, temperature=1e6, undone_share=0.3).batch(0, 0, 2000)
    undone = [each.target == each.source for each in with_some]
    assert sum(undone) == pytest.approx(600, abs=80)
    without = ShapesExamples(edits, temperature=1e6).batch(0, 0, 2000)
    assert not any(each.target == each.source for each in without)
    assert all(left or each == other for left, each, other in zip(undone, with_some, without, strict=True))


def test_the_path_goes_from_data_to_noise_in_a_straight_line() -> None:
    data, noise = torch.tensor([[0.0, 2.0]] * 2), torch.tensor([[4.0, 4.0]] * 2)
    assert noised(data, noise, torch.tensor([0.25, 1.0])).tolist() == [[1.0, 2.5], [4.0, 4.0]]
    assert flow_matching_loss(noise - data, data, noise, torch.ones(2)) == 0.0


def test_the_loss_is_the_weighted_square_of_the_velocitys_error() -> None:
    data, noise = torch.zeros(2, 3), torch.ones(2, 3)
    off_by_2_and_4 = noise - data + torch.tensor([[2.0], [4.0]])
    assert flow_matching_loss(off_by_2_and_4, data, noise, torch.tensor([1.0, 0.5])) == (4 + 8) / 2


def test_samples_below_the_floor_count_with_the_square_of_their_level() -> None:
    weights = level_weights(torch.tensor([1.0, 0.25, 0.125]), floor=0.25)
    assert weights.tolist() == [1.0, 1.0, 0.25]


def test_logit_normal_sigmas_have_the_median_of_their_setting() -> None:
    settings = FlowSettings(sigma="logit_normal", sigma_mean=1.0986, sigma_std=1.0)
    drawn = draw_sigmas(4001, settings, torch.Generator().manual_seed(0))
    assert drawn.median() == pytest.approx(0.75, abs=0.02)
    assert 0 < drawn.min() < drawn.max() < 1


def test_the_learning_rate_rises_stays_and_falls_to_nothing() -> None:
    settings = FlowSettings(steps=10, lr=1.0, warmup_steps=2, decay_share=0.4)
    rates = [settings.lr_at(step) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_a_sheet_has_its_rows_side_by_side_under_their_captions() -> None:
    row = SheetRow("make it red", (Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")))
    sheet = contact_sheet([row] * 3, columns=2)
    assert sheet.size == (2 * 40, 2 * 32)
    assert sheet.getpixel((6, 18)) == (255, 0, 0)
    assert sheet.getpixel((6 + 14, 18)) == (0, 0, 255)
