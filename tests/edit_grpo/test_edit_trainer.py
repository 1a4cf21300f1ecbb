"""Whole runs of the trainer on an editor of 24 weights: it learns, resumes to the bit, stops, waits."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from linear_editor import LinearEditor, weights_of
from PIL import Image
from small_runs import RedService, events, log_lines, small_settings, train, write_edits, write_pair_edits

from edit_grpo.data.edits import read_edits
from edit_grpo.errors import CheckpointError, DivergedError, ServiceAwayError, SettingsError
from edit_grpo.policies.errors import SourceCountError
from edit_grpo.policies.policy import Condition
from edit_grpo.run.checkpointing import FOLDER
from edit_grpo.run.settings import OptimizerSettings, TrainSettings
from edit_grpo.run.training_run import read_data, run_training
from edit_grpo.run.update import lr_at
from edit_rrm.wire import ScoreRequest
from edit_rrm_client import AuthenticationError


class Killed(BaseException):
    """What nothing in a run catches."""


NFT = {"name": "diffusion_nft", "points": 2}
ALGORITHMS = pytest.mark.parametrize(
    "algorithm", [{"name": "grpo", "window": {"size": 2}}, NFT], ids=["grpo", "nft"]
)


def settings_of(folder: Path, algorithm: dict[str, Any], **changes: Any) -> TrainSettings:
    values = small_settings(folder, **changes).model_dump(mode="json")
    return TrainSettings.model_validate({**values, "algorithm": algorithm})


@ALGORITHMS
def test_the_editor_learns_what_the_service_rewards(tmp_path: Path, algorithm: dict[str, Any]) -> None:
    settings = settings_of(
        tmp_path, algorithm, updates=40, save_every=40,
        sampling={"group_size": 12, "groups": 2, "micro_batch": 12}, optimizer={"lr": 0.02},
    )  # fmt: skip
    assert train(settings)[0] == "finished"
    lines = log_lines(settings)
    first, last = (sum(line["reward/mean"] for line in part) / 5 for part in (lines[:5], lines[-5:]))
    assert last > first + 0.1
    assert (settings.out / "final" / "linear.safetensors").is_file()


@ALGORITHMS
def test_six_updates_are_three_and_three_more_bit_for_bit(tmp_path: Path, algorithm: dict[str, Any]) -> None:
    changes: dict[str, Any] = {"optimizer": {"ema": 0.5, "minibatches": 2, "inner_epochs": 2}}
    straight = settings_of(tmp_path / "a", algorithm, **changes)
    _, expected = train(straight)
    resumed = settings_of(tmp_path / "b", algorithm, **changes)
    first = RedService(before=lambda number: os.kill(os.getpid(), signal.SIGTERM) if number == 5 else None)
    assert train(resumed, first)[0] == "stopped"
    assert [line["update"] for line in log_lines(resumed)] == [1, 2, 3]
    _, found = train(resumed, policy=LinearEditor())
    assert weights_of(found) == weights_of(expected)
    for name in ("trainable.safetensors", "policy/linear.safetensors"):  # the averages are in the first
        mine, other = (run.out / FOLDER / "update-0000006" / name for run in (resumed, straight))
        assert mine.read_bytes() == other.read_bytes()
    assert _numbers(resumed) == _numbers(straight)


def test_a_killed_run_goes_on_from_its_newest_checkpoint_and_logs_every_update_once(tmp_path: Path) -> None:
    settings = small_settings(tmp_path)

    def kill(number: int) -> None:
        if number == 9:  # the fifth update: after the checkpoint of the third
            raise Killed

    with pytest.raises(Killed):
        train(settings, RedService(before=kill))
    _, expected = train(small_settings(tmp_path / "straight"))
    _, found = train(settings)
    assert [line["update"] for line in log_lines(settings)] == [1, 2, 3, 4, 5, 6]
    assert weights_of(found) != weights_of(LinearEditor())
    assert weights_of(found) == weights_of(expected)


def test_what_a_kill_after_the_last_checkpoint_cost_is_made_up_for(tmp_path: Path) -> None:
    held_out = write_edits(tmp_path / "held-out", 1)
    settings = small_settings(tmp_path, data={"held_out": held_out}, grid_every=3)
    train(settings)
    final, grid = settings.out / "final", settings.out / "grids" / "update-0000006.html"
    whole = (final / "linear.safetensors").read_bytes()
    (final / "linear.safetensors").unlink()  # killed while it was written
    grid.unlink()
    assert train(settings)[0] == "finished"
    assert (final / "linear.safetensors").read_bytes() == whole
    assert grid.is_file()
    assert len(log_lines(settings)) == 6


def test_overlap_changes_no_weight(tmp_path: Path) -> None:
    _, overlapped = train(small_settings(tmp_path / "a"))
    settings = small_settings(tmp_path / "b", reward={"overlap": False})
    _, one_by_one = train(settings)
    assert weights_of(overlapped) == weights_of(one_by_one)


def test_the_first_ratio_of_every_rollout_is_exactly_one_and_nothing_is_clipped(tmp_path: Path) -> None:
    settings = small_settings(tmp_path)
    train(settings)
    for line in log_lines(settings):
        assert line["update/ratio"] == 1.0
        assert line["update/ratio_off"] == 0.0
        assert line["update/clipped"] == 0.0


def test_from_the_second_optimiser_step_on_the_ratio_moves(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, optimizer={"inner_epochs": 2})
    train(settings)
    assert log_lines(settings)[0]["update/ratio_off"] > 0.0


def test_a_failed_candidate_is_left_out_and_counted(tmp_path: Path) -> None:
    settings, service = small_settings(tmp_path, updates=1), RedService()
    service.fails = lambda group, candidate: (group, candidate) in {(0, 1), (1, 0), (1, 2), (1, 3)}
    train(settings, service)
    (line,) = log_lines(settings)
    assert line["reward/failed"] == 4
    assert (line["groups/trained"], line["groups/skipped_failures"]) == (1, 1)


class Spoilt(LinearEditor):
    """Draws no numbers as the noise of some candidates, counted over the run."""

    def __init__(self, *candidates: int) -> None:
        super().__init__()
        self._spoilt, self._drawn = set(candidates), 0

    def noise(self, condition: Condition, generator: torch.Generator) -> torch.Tensor:
        found = super().noise(condition, generator)
        self._drawn += 1
        return found * float("nan") if self._drawn - 1 in self._spoilt else found


@ALGORITHMS
def test_a_picture_that_is_not_finite_is_no_reward_and_spoils_no_gradient(
    tmp_path: Path, algorithm: dict[str, Any]
) -> None:
    # One group: of several, none is sure to be asked about first.
    changes: dict[str, Any] = {"updates": 1, "sampling": {"group_size": 4, "groups": 1, "micro_batch": 4}}
    service = RedService()
    service.fails = lambda group, candidate: candidate == 1
    _, expected = train(settings_of(tmp_path / "failed", algorithm, **changes), service)
    settings, seen = settings_of(tmp_path / "spoilt", algorithm, **changes), RedService()
    _, editor = train(settings, seen, Spoilt(1))
    assert [len(call.request.candidates) for call in seen.calls] == [3]
    (line,) = log_lines(settings)
    assert (line["reward/undecoded"], line["reward/failed"]) == (1, 1)
    assert weights_of(editor) == weights_of(expected)


def test_a_group_without_any_finite_picture_asks_nobody_and_is_skipped(tmp_path: Path) -> None:
    settings, service = small_settings(tmp_path, updates=1), RedService()
    train(settings, service, Spoilt(0, 1, 2, 3))
    assert len(service.calls) == 1
    (line,) = log_lines(settings)
    assert (line["reward/undecoded"], line["groups/skipped_failures"], line["groups/trained"]) == (4, 1, 1)


def test_the_judge_is_shown_the_source_that_the_editor_encodes(tmp_path: Path) -> None:
    class Prepares(LinearEditor):
        def prepare(self, source: Image.Image) -> Image.Image:
            return source.resize((24, 16))

    service, editor = RedService(), Prepares()
    train(small_settings(tmp_path, updates=1), service, editor)
    shown = set()
    for call in service.calls:
        assert call.request.source is not None
        with Image.open(io.BytesIO(call.files[call.request.source.part or ""])) as source:
            shown.add(source.size)
    assert shown == {source.size for (source,) in editor.encoded} == {(24, 16)}


@pytest.mark.parametrize("canvas", [0, -1])
def test_several_sources_reach_editor_and_judge_in_their_order(tmp_path: Path, canvas: int) -> None:
    settings = small_settings(tmp_path, data={"edits": [write_pair_edits(tmp_path)]}, updates=1)
    service, editor = RedService(), LinearEditor()
    editor.max_sources, editor.canvas = 4, canvas
    train(settings, service, editor)
    assert [[source.size for source in row] for row in editor.encoded] == [[(8, 8), (12, 10)]]
    for call in service.calls:
        assert isinstance(call.request, ScoreRequest)
        shown = []
        for image in call.request.all_sources.values():
            with Image.open(io.BytesIO(call.files[image.part or ""])) as source:
                shown.append(source.size)
        assert shown == [(8, 8), (12, 10)]
        assert call.request.source_of_guards == (0 if canvas == 0 else 1)


def test_an_edit_whose_source_cannot_be_read_costs_its_own_group_and_no_other(tmp_path: Path) -> None:
    edits = write_edits(tmp_path, 2)
    (tmp_path / "1.png").write_bytes(b"no picture")
    held_out = write_edits(tmp_path / "held", 2, "held.jsonl")
    (tmp_path / "held" / "0.png").write_bytes(b"no picture")
    settings = small_settings(
        tmp_path, data={"edits": [edits], "held_out": held_out}, updates=1, grid_every=1
    )
    service, editor = RedService(), LinearEditor()
    assert train(settings, service, editor)[0] == "finished"
    (line,) = log_lines(settings)
    assert (line["groups/trained"], line["groups/skipped_failures"]) == (1, 1)
    assert (line["reward/failed"], line["reward/undecoded"]) == (4, 0)
    assert weights_of(editor) != weights_of(LinearEditor())
    log = (settings.out / "log.jsonl").read_text(encoding="utf-8")
    assert "the source of edit edits.jsonl-1 cannot be read" in log
    page = (settings.out / "grids" / "update-0000001.html").read_text(encoding="utf-8")
    assert page.count("<section") == 1


def test_the_check_before_a_run_is_told_the_most_sources_of_an_edit(tmp_path: Path) -> None:
    class EndedError(Exception):
        """The check's own."""

    told: list[int] = []

    def check(most_sources: int) -> None:
        told.append(most_sources)
        raise EndedError

    edits = [write_edits(tmp_path), write_pair_edits(tmp_path)]
    with pytest.raises(EndedError):
        run_training(small_settings(tmp_path, data={"edits": edits}), check)
    assert told == [2]


def test_an_edit_with_more_sources_than_the_editor_takes_ends_the_run_before_it_begins(
    tmp_path: Path,
) -> None:
    settings = small_settings(tmp_path, data={"edits": [write_pair_edits(tmp_path)]})
    service = RedService()
    with pytest.raises(SourceCountError, match="takes one source, and edit pair-0 has 2"):
        train(settings, service)
    assert service.calls == []


def test_groups_whose_rewards_do_not_differ_change_no_weight(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, reward={"shape": "weighted_mean"}, updates=1)  # all verdicts the same
    _, editor = train(settings)
    (line,) = log_lines(settings)
    assert line["groups/skipped_zero_variance"] == 2
    assert "update/grad_norm" not in line
    assert weights_of(editor) == weights_of(LinearEditor())


def test_a_service_that_stays_away_ends_the_run_after_a_checkpoint_and_the_run_goes_on_later(
    tmp_path: Path,
) -> None:
    settings, service = small_settings(tmp_path), RedService()

    def away(number: int) -> None:
        if number == 3:  # the fourth group is the last that is answered: two updates are whole
            service.fail(503, times=None)

    service.before = away
    with pytest.raises(ServiceAwayError, match="scored nothing for"):
        train(settings, service)
    assert [path.name for path in (settings.out / FOLDER).iterdir()] == ["update-0000002"]
    assert events(settings)[-2:] == ["saved", "failed"]
    _, found = train(settings)
    _, expected = train(small_settings(tmp_path / "straight"))
    assert weights_of(found) == weights_of(expected)


def test_a_service_that_scores_nothing_at_all_ends_the_run(tmp_path: Path) -> None:
    settings, service = small_settings(tmp_path, reward={"max_empty_updates": 2}), RedService()
    service.fails = lambda group, candidate: True
    with pytest.raises(ServiceAwayError, match="no candidate got a reward in 2 updates in a row"):
        train(settings, service)
    assert events(settings).count("not scored") == 2


def test_a_wrong_key_ends_the_run_at_once(tmp_path: Path) -> None:
    service = RedService()
    service.fail(401, times=None)
    with pytest.raises(AuthenticationError):
        train(small_settings(tmp_path), service)


def test_a_gradient_that_is_not_finite_ends_the_run_and_nothing_half_updated_is_saved(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, save_every=1, optimizer={"inner_epochs": 2})
    editor, steps = LinearEditor(), [0]

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        steps[0] += 1
        return gradient * float("nan") if steps[0] > 40 else gradient

    editor.trainable()[0].register_hook(spoil)
    with pytest.raises(DivergedError, match="the gradient's norm is nan"):
        train(settings, policy=editor)
    done = len(log_lines(settings))
    assert 0 < done < 6
    assert max(path.name for path in (settings.out / FOLDER).iterdir()) == f"update-{done:07d}"
    _, found = train(settings)
    _, expected = train(small_settings(tmp_path / "straight", optimizer={"inner_epochs": 2}))
    assert weights_of(found) == weights_of(expected)


def test_the_learning_rate_rises_and_stays_or_falls_to_nothing() -> None:
    constant = OptimizerSettings(lr=1.0, warmup_updates=2)
    assert [lr_at(update, 6, constant) for update in (0, 1, 2, 5)] == [0.5, 1.0, 1.0, 1.0]
    cosine = OptimizerSettings(lr=1.0, warmup_updates=2, schedule="cosine")
    assert [lr_at(update, 6, cosine) for update in (1, 2, 4, 6)] == pytest.approx([1.0, 1.0, 0.5, 0.0])


def test_a_run_begun_with_other_settings_is_not_continued(tmp_path: Path) -> None:
    train(small_settings(tmp_path, updates=1))
    with pytest.raises(SettingsError, match=r"optimizer.lr"):
        train(small_settings(tmp_path, optimizer={"lr": 0.5}))


def test_a_checkpoint_of_another_policy_is_refused(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, updates=1)
    train(settings)
    other = LinearEditor()
    other.module = torch.nn.Linear(5, 2)
    with pytest.raises(CheckpointError, match="not this policy's"):
        train(settings.model_copy(update={"updates": 2}), policy=other)


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, save_every=1, keep=2)
    train(settings)
    assert sorted(path.name for path in (settings.out / FOLDER).iterdir()) == [
        "update-0000005",
        "update-0000006",
    ]


def test_grids_compare_held_out_edits_before_training_and_now(tmp_path: Path) -> None:
    held_out = write_edits(tmp_path / "held", 2, "held.jsonl")
    settings = small_settings(tmp_path, data={"held_out": held_out}, grid_every=3)
    _, editor = train(settings)
    grids = settings.out / "grids"
    assert sorted(path.name for path in grids.glob("update-*")) == [
        "update-0000003.html", "update-0000003.png", "update-0000006.html", "update-0000006.png",
    ]  # fmt: skip
    assert "update-0000003.html" in (grids / "index.html").read_text()
    page = (grids / "update-0000006.html").read_text()
    assert page.count("<section") == 2
    assert "make it red" in page
    assert weights_of(editor) == weights_of(train(small_settings(tmp_path / "without"))[1])


def test_a_held_out_picture_that_is_not_finite_is_shown_to_no_judge(tmp_path: Path) -> None:
    held_out = write_edits(tmp_path / "held", 2, "held.jsonl")
    settings = small_settings(tmp_path, data={"held_out": held_out}, grid_every=1, updates=1)
    service = RedService()
    train(settings, service, Spoilt(0, 11))  # of two edits before, two groups of four, two edits now
    asked = [len(call.request.candidates) for call in service.calls if isinstance(call.request, ScoreRequest)]
    assert sorted(asked) == [1, 1, 4, 4]
    assert not (settings.out / "grids" / "before" / "0.png").is_file()
    page = (settings.out / "grids" / "update-0000001.html").read_text(encoding="utf-8")
    assert page.count("none (not finite)") == 2


def test_the_last_edits_are_kept_apart_for_grids_and_never_trained_on(tmp_path: Path) -> None:
    edits = write_edits(tmp_path, 5, "five.jsonl")
    settings = small_settings(tmp_path, data={"edits": [edits], "held_out": 2}, grid_every=3)
    trained, shown = read_data(settings, processes=1)
    assert [edit.id for edit in (*trained, *shown)] == [edit.id for edit in read_edits([edits])]
    assert len(shown) == 2


def test_edits_all_kept_apart_are_refused(tmp_path: Path) -> None:
    edits = write_edits(tmp_path, 2, "two.jsonl")
    settings = small_settings(tmp_path, data={"edits": [edits], "held_out": 2}, grid_every=3)
    with pytest.raises(SettingsError, match="none is left to train on"):
        read_data(settings, processes=1)


@pytest.mark.slow
def test_two_processes_train_the_same_weights_as_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_processes.py")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        str(script),
    ]
    ended = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    settings = small_settings(tmp_path / "one", optimizer={"ema": 0.5})
    _, one = train(settings)
    two = torch.load(tmp_path / "weights.pt", weights_only=True)
    for mine, other in zip(one.trainable(), two, strict=True):
        assert torch.allclose(mine, other, atol=1e-6)
    lines = [log_lines(run) for run in (settings, small_settings(tmp_path / "two", optimizer={"ema": 0.5}))]
    assert [line["reward/mean"] for line in lines[0]] == pytest.approx(
        [line["reward/mean"] for line in lines[1]], abs=1e-4
    )


def _numbers(settings: TrainSettings) -> list[dict[str, Any]]:
    """The log without what a clock says."""
    return [
        {name: value for name, value in line.items() if not name.startswith(("seconds", "time"))}
        for line in log_lines(settings)
    ]


def test_weights_of_sixteen_bits_are_not_trained_without_masters(tmp_path: Path) -> None:
    """`dtype: bfloat16` without adapters trained bfloat16 weights, in which small updates are lost."""
    editor = LinearEditor()
    editor.module.to(torch.bfloat16)
    with pytest.raises(SettingsError, match="have 16 bits and no float32 masters"):
        train(small_settings(tmp_path), policy=editor)
