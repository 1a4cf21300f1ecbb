"""Samples of judgements on a training's boards: pictures, texts, scores, at the steps that were asked for."""

import importlib.util
from pathlib import Path

import pytest
import torch
from any_text import AnyText
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edit_rrm.boards import WandbSettings
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.gcpo import run as gcpo_run
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.gcpo.samples import pair_samples
from edit_rrm_training.runs.logs import PICTURES, TEXTS
from edit_rrm_training.runs.settings import GcpoConfig, SftConfig
from edit_rrm_training.sft.run import run_sft
from shapes_rows import pair, verify_row, write_lines
from wandb_records import begun_run, history, offline_runs

OFFLINE = WandbSettings(project="rrm", mode="offline")


@pytest.fixture
def gcpo(untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GcpoConfig:
    monkeypatch.setattr(gcpo_run, "get_profile", lambda name: AnyText())
    pairs = write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    return GcpoConfig(
        base=untrained, out=tmp_path / "run", pairs=pairs, steps=4, traces=2, pairs_per_step=1,
        batch_per_device=4, max_trace_tokens=8, dtype="float32", gradient_checkpointing=False,
        equal_images=True, workers=0, save_every=4, samples_every=3, wandb=OFFLINE,
    )  # fmt: skip


@pytest.fixture
def sft(untrained: Path, tmp_path: Path) -> SftConfig:
    rows = write_lines(tmp_path / "rows.jsonl", [verify_row(index) for index in range(4)])
    return SftConfig(
        base=untrained, out=tmp_path / "run", rows=(rows,), steps=3, batch_per_device=2, dtype="float32",
        gradient_checkpointing=False, equal_images=True, workers=0, log_every=1, max_trace_tokens=6,
    )  # fmt: skip


def curves(out: Path) -> EventAccumulator:
    return EventAccumulator(str(out / "tensorboard"), {"images": 0, "tensors": 0, "scalars": 0}).Reload()


def texts(out: Path) -> dict[int, str]:
    """The tables of TensorBoard by step."""
    tensors = curves(out).Tensors(f"{TEXTS}/text_summary")
    return {event.step: event.tensor_proto.string_val[0].decode() for event in tensors}


@pytest.mark.slow
def test_gcpo_shows_a_pair_with_its_traces_and_what_they_earned(gcpo: GcpoConfig, tmp_path: Path) -> None:
    told: list[str] = []
    run_gcpo(gcpo, say=told.append, stop_after=2)
    run_gcpo(gcpo, say=told.append)
    assert [event.step for event in curves(gcpo.out).Images(PICTURES)] == [1, 3, 4]
    header, _, *rows = texts(gcpo.out)[1].splitlines()
    assert header == "| sample | score | reward | advantage | trace |"
    assert len(rows) == 4  # two sides of two traces
    assert [row.split(":")[0] for row in rows] == ["| preferred"] * 2 + ["| other"] * 2
    begun, resumed = offline_runs(gcpo.out)
    assert begun_run(begun).run_id == begun_run(resumed).run_id
    curve = [(line["step"], line["loss"]) for line in history(begun) if "loss" in line]
    assert [step for step, _ in curve] == [1, 2]
    assert (
        curve == [(event.step, pytest.approx(event.value)) for event in curves(gcpo.out).Scalars("loss")][:2]
    )
    assert [line["step"] for line in history(resumed) if f"{PICTURES}._type" in line] == [3, 4]
    assert [line["step"] for line in history(resumed) if f"{TEXTS}._type" in line] == [3, 4]
    assert sum("wandb sync" in line for line in told) == 2


def test_a_sample_says_what_each_trace_of_a_side_earned() -> None:
    rows = [
        {"instruction": "make it red", "images": [Image.new("RGB", (4, 4), colour)] * 2}
        for colour in ("red", "blue")
    ]
    scores = torch.tensor([[8.0, 2.0], [5.0, float("nan")]])
    preferred, other = pair_samples(
        [rows[0], rows[0], rows[1], rows[1]], ["good", "bad", "worse", "noise"], scores
    )
    assert preferred.caption == "preferred: make it red"
    assert preferred.pictures[1].getpixel((0, 0)) == (255, 0, 0)
    assert preferred.texts == (
        {"score": 8.0, "reward": 0.5, "advantage": 0.25, "trace": "good"},  # above 5, not above noise
        {"score": 2.0, "reward": 0.0, "advantage": -0.25, "trace": "bad"},
    )
    assert other.texts == (
        {"score": 5.0, "reward": 0.5, "advantage": 0.25, "trace": "worse"},  # below 8 alone
        {"score": None, "reward": 0.0, "advantage": -0.25, "trace": "noise"},
    )


def test_of_a_pair_that_processes_share_the_first_ones_part_is_shown() -> None:
    row = {"instruction": "make it red", "images": [Image.new("RGB", (4, 4))] * 2}
    scores = torch.tensor([[8.0, 2.0], [5.0, 1.0]])
    (half,) = pair_samples([row, row], ["good", "bad"], scores)
    assert [text["reward"] for text in half.texts] == [1.0, 0.5]  # above 5 and 1, above 1 alone
    whole, begun = pair_samples([row] * 3, ["good", "bad", "worse"], scores)
    assert (len(whole.texts), len(begun.texts)) == (2, 1)


@pytest.mark.slow
def test_sft_shows_what_is_taught_beside_what_is_written_and_learns_the_same(
    sft: SftConfig, tmp_path: Path
) -> None:
    run_sft(sft)
    quiet = sft.model_copy(update={"out": tmp_path / "quiet", "samples_every": 0})
    run_sft(quiet)
    shown = texts(sft.out)
    assert list(shown) == [1, 3]
    header, _, *rows = shown[3].splitlines()
    assert header == "| sample | taught | written |"
    assert [row.split(" | ")[0] for row in rows] == ["| row 1", "| row 2"]
    assert verify_row(0).completion.splitlines()[0].split(":")[0] in rows[0]
    assert [event.step for event in curves(sft.out).Images(PICTURES)] == [1, 3]
    assert PICTURES not in curves(quiet.out).Tags()["images"]
    losses = [[event.value for event in curves(run.out).Scalars("loss")] for run in (sft, quiet)]
    assert losses[0] == losses[1]


def test_weights_and_biases_that_cannot_be_had_begins_no_run(
    sft: SftConfig, gcpo: GcpoConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else find(name))
    for run in (lambda: run_sft(sft.model_copy(update={"wandb": OFFLINE})), lambda: run_gcpo(gcpo)):
        with pytest.raises(SettingsError, match=r"^wandb: wandb is not installed: pip install"):
            run()
    assert not sft.out.exists()
