"""What a run shows on its boards: grids, and candidates with their rewards."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_runs import RedService, log_lines, small_settings, train, write_edits
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edit_grpo.errors import SettingsError
from edit_grpo.run.candidates import SIDE, ShownGroup, candidate_sheet, thumbnail
from edit_rrm.boards import WandbSettings
from wandb_records import begun_run, exit_code, history, offline_runs

OFFLINE = WandbSettings(project="edits", mode="offline")


def steps_of(out: Path, name: str) -> list[int]:
    """The updates that a series of pictures in TensorBoard has."""
    written = EventAccumulator(str(out / "tensorboard")).Reload()
    return [picture.step for picture in written.Images(name)]


def test_grids_and_candidates_are_on_tensorboard(tmp_path: Path) -> None:
    held_out = write_edits(tmp_path / "held", 1, "held.jsonl")
    settings = small_settings(
        tmp_path, data={"held_out": held_out}, grid_every=4, candidates_every=3, updates=5
    )
    train(settings)
    assert steps_of(settings.out, "candidates") == [1, 3, 5]
    assert steps_of(settings.out, "grid") == [4, 5]


def test_a_run_shorter_than_the_time_between_grids_has_one_at_its_end(tmp_path: Path) -> None:
    held_out = write_edits(tmp_path / "held", 1, "held.jsonl")
    settings = small_settings(tmp_path, data={"held_out": held_out}, grid_every=25, updates=2)
    train(settings)
    assert [page.name for page in (settings.out / "grids").glob("update-*.html")] == ["update-0000002.html"]


def test_no_candidates_are_shown_where_none_are_wanted_and_none_costs_a_weight(tmp_path: Path) -> None:
    quiet = small_settings(tmp_path / "quiet", candidates_every=None)
    shown = small_settings(tmp_path / "shown", candidates_every=1)
    _, one = train(quiet)
    _, other = train(shown)
    assert [line["reward/mean"] for line in log_lines(quiet)] == [
        line["reward/mean"] for line in log_lines(shown)
    ]
    assert all((a == b).all() for a, b in zip(one.trainable(), other.trainable(), strict=True))
    assert not EventAccumulator(str(quiet.out / "tensorboard")).Reload().Tags()["images"]


def test_weights_and_biases_has_the_same_and_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, wandb=OFFLINE, updates=2, save_every=1)
    train(settings)
    train(settings.model_copy(update={"updates": 3}))
    begun, resumed = offline_runs(settings.out)
    assert begun_run(begun).run_id == begun_run(resumed).run_id
    assert begun_run(begun).display_name == "run"
    told = history(begun)
    numbers = [line for line in told if "reward/mean" in line]
    assert [line["update"] for line in numbers] == [1, 2]
    assert [line["reward/mean"] for line in numbers] == [
        line["reward/mean"] for line in log_lines(settings)[:2]
    ]
    assert [line["update"] for line in told if "candidates._type" in line] == [1, 2]
    assert [line["update"] for line in history(resumed) if "reward/mean" in line] == [3]


def test_a_run_that_failed_is_marked_so(tmp_path: Path) -> None:
    def fail(number: int) -> None:
        raise ConnectionError

    settings = small_settings(tmp_path, wandb=OFFLINE)
    with pytest.raises(ConnectionError):
        train(settings, RedService(before=fail))
    (file,) = offline_runs(settings.out)
    assert exit_code(file) == 1


def test_wandb_that_is_missing_is_told_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = small_settings(tmp_path, wandb=OFFLINE)
    with pytest.raises(SettingsError, match=r"^wandb: wandb is not installed: pip install"):
        train(settings)
    assert not settings.out.exists()


def test_candidates_stand_from_the_best_to_those_without_a_reward() -> None:
    colours = {"red": 0.25, "lime": 1.0, "blue": None}
    pictures = tuple(Image.new("RGB", (64, 64), colour) for colour in colours)
    group = ShownGroup(
        "make it red", (Image.new("RGB", (64, 64), "black"),), (*pictures, None), (*colours.values(), None)
    )
    sheet = np.asarray(candidate_sheet([group]))
    middles = [tuple(sheet[18 + 32, 6 + place * 70 + 32]) for place in range(5)]
    assert middles == [(0, 0, 0), (0, 255, 0), (255, 0, 0), (0, 0, 255), (128, 128, 128)]


def test_a_group_of_many_candidates_takes_several_rows() -> None:
    pictures = tuple(Image.new("RGB", (32, 32), "red") for _ in range(16))
    group = ShownGroup("make it red", pictures[:1], pictures, (0.5,) * 16)
    one = candidate_sheet([ShownGroup("make it red", pictures[:1], pictures[:7], (0.5,) * 7)])
    assert candidate_sheet([group]).size == (one.width, 3 * one.height)


def test_what_is_kept_of_a_picture_is_small() -> None:
    assert thumbnail(Image.new("RGB", (1024, 512))).size == (SIDE, SIDE // 2)
