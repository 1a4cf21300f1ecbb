"""Boards: what TensorBoard and Weights & Biases are told, read back from what they wrote."""

import json
import sys
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from edit_rrm.boards import Table, TensorBoard, WandbSettings, check_wandb, start_wandb
from edit_rrm.boards.tensorboard import markdown
from edit_rrm.errors import BoardError
from edit_rrm.run_log import RunLog
from wandb_records import begun_run, exit_code, history, offline_runs

OFFLINE = WandbSettings(project="edits", name="red", group="seeds", tags=("tiny",), mode="offline")
TABLE = Table(("trace", "score"), (("1. met", 8.0), ("no score", None)))


def test_both_boards_are_told_the_same(tmp_path: Path) -> None:
    curves = TensorBoard(SummaryWriter(str(tmp_path / "tensorboard")))
    online = start_wandb(OFFLINE, tmp_path, {"optimizer": {"lr": 0.5}}, step_name="update")
    log = RunLog(tmp_path / "log.jsonl", last=0, key="update", boards=[curves, online])
    log.numbers(3, {"reward/mean": 0.25, "lost": float("nan")})
    log.picture(3, "grid", Image.new("RGB", (4, 2), (255, 0, 0)))
    log.table(3, "texts", TABLE)
    log.close()
    written = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in written.Scalars("reward/mean")] == [(3, 0.25)]
    assert written.Tags()["scalars"] == ["reward/mean"]
    (picture,) = written.Images("grid")
    assert (picture.step, picture.width, picture.height) == (3, 4, 2)
    (file,) = offline_runs(tmp_path)
    numbers, image, table = history(file)
    assert numbers == {"reward/mean": 0.25, "update": 3}
    assert (image["update"], image["grid.width"], image["grid.height"]) == (3, 4, 2)
    with Image.open(file.parent / "files" / image["grid.path"]) as opened:
        assert opened.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert (table["update"], table["texts.nrows"], table["texts.ncols"]) == (3, 2, 2)
    run = begun_run(file)
    assert (run.project, run.display_name, run.run_group, list(run.tags)) == (
        "edits",
        "red",
        "seeds",
        ["tiny"],
    )
    settings = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert settings["optimizer"] == {"lr": 0.5}
    assert exit_code(file) == 0


def test_a_directory_is_one_run_however_often_it_is_gone_on_with(tmp_path: Path) -> None:
    first = start_wandb(OFFLINE.model_copy(update={"name": None}), tmp_path / "colour", {})
    first.close(failed=True)
    first.close()  # changes nothing
    second = start_wandb(OFFLINE, tmp_path / "colour", {"updates": 9})
    assert "wandb sync" in second.where
    second.close()
    begun, resumed = offline_runs(tmp_path / "colour")
    assert begun_run(begun).run_id == begun_run(resumed).run_id
    assert begun_run(begun).display_name == "colour"
    assert (exit_code(begun), exit_code(resumed)) == (1, 0)
    other = start_wandb(OFFLINE, tmp_path / "other", {})
    other.close()
    assert begun_run(offline_runs(tmp_path / "other")[0]).run_id != begun_run(begun).run_id


def test_a_table_is_shown_as_it_was_written() -> None:
    lines = markdown(Table(("trace",), (("1. <b>met</b> | *so*\n2. missed",), (None,)))).splitlines()
    assert lines == [
        "| trace |",
        "| --- |",
        "| 1. &lt;b&gt;met&lt;/b&gt; &#124; &#42;so&#42;<br>2. missed |",
        "|  |",
    ]


def test_where_wandb_is_missing_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        BoardError, match=r"wandb is not installed: pip install 'edit-rrm\[wandb\]'"
    ) as raised:
        check_wandb(OFFLINE)
    assert "\n" not in str(raised.value)


def test_without_a_key_a_run_online_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(BoardError, match=r"No API key.*wandb\.mode=offline needs no key"):
        check_wandb(WandbSettings(project="edits"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    check_wandb(WandbSettings(project="edits"))
