"""A run's directory means the weights in it; what holds none is told by what it does hold."""

from pathlib import Path

import pytest

from edit_rrm.checkpoint import checkpoint_directory, checkpoint_meant, no_such_checkpoint
from edit_rrm.nearest import did_you_mean, nearest
from edit_rrm.run_directories import checkpoint_inside, what_it_holds


def weights(directory: Path, mark: str = "config.json") -> Path:
    directory.mkdir(parents=True)
    (directory / mark).write_text("{}")
    return directory


@pytest.mark.parametrize("mark", ["config.json", "adapter_config.json", "model_index.json"])
def test_a_run_means_its_final_weights_of_every_kind(tmp_path: Path, mark: str) -> None:
    final = weights(tmp_path / "gcpo" / "final", mark)
    assert checkpoint_directory(tmp_path / "gcpo") == final
    assert checkpoint_directory(str(tmp_path / "gcpo")) == final
    assert checkpoint_directory(final) == final


def test_weights_go_before_a_folder_called_final_in_them(tmp_path: Path) -> None:
    whole = weights(tmp_path / "whole")
    weights(whole / "final")
    assert checkpoint_inside(whole) == whole


def test_a_run_that_has_not_finished_says_what_it_holds_and_offers_a_checkpoint(tmp_path: Path) -> None:
    for name in ("log.jsonl", "settings.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "tensorboard").mkdir()
    assert what_it_holds(tmp_path) == "it holds log.jsonl, settings.yaml, tensorboard/"
    last = weights(tmp_path / "checkpoint-20")
    assert what_it_holds(tmp_path) == (
        f"it holds checkpoint-20/, log.jsonl, settings.yaml, tensorboard/; did you mean {last}?"
    )


def test_a_folder_of_runs_offers_a_run_and_an_empty_one_is_called_so(tmp_path: Path) -> None:
    weights(tmp_path / "gcpo" / "final")
    assert what_it_holds(tmp_path) == f"it holds gcpo/; did you mean {tmp_path / 'gcpo'}?"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert what_it_holds(empty) == "it is empty"


def test_a_misspelt_checkpoint_is_told_its_neighbour_or_the_registered_one(tmp_path: Path) -> None:
    weights(tmp_path / "runs" / "gcpo" / "final")
    (tmp_path / "runs" / "gpco-pictures").mkdir()  # like it, and no checkpoint
    assert checkpoint_meant(tmp_path / "runs" / "gpco") == f"; did you mean {tmp_path / 'runs' / 'gcpo'}?"
    assert "did you mean edit-rrm-tiny-gcpo?" in no_such_checkpoint("edit-rrm-tiny-gpco")
    assert checkpoint_meant("zzz") == ""


@pytest.mark.parametrize("ending", ["", "-sft", "-gcpo", "-base-m", "-base-s"])
def test_bundled_checkpoints_have_names(ending: str) -> None:
    assert (checkpoint_directory(f"edit-rrm-tiny{ending}") / "config.json").is_file()


def test_the_nearest_name_is_one_that_is_like_it() -> None:
    known = ["samples_per_group", "steps", "Keep"]
    assert nearest("samples_per_edit", known) == "samples_per_group"
    assert nearest("keep", known) == "Keep"
    assert did_you_mean("colour", known) == ""
