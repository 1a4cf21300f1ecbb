"""The editor's reproduction: its graph, its figures, and its table of what is measured so far."""

import json
import math
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edit_rrm.intervals import share
from edit_rrm_shapes.cli.app import app
from edit_rrm_shapes.models import HERE as MODELS
from edit_rrm_shapes.reproduce_editor.caveats import DAMAGED, UNDAMAGED, caveats
from edit_rrm_shapes.reproduce_editor.inputs import Inputs, digest_of, inputs_of
from edit_rrm_shapes.reproduce_editor.measuring import Measured, write_measured
from edit_rrm_shapes.reproduce_editor.plan import FULL, EditPlan, Run, graph, runs_of, settings_of
from edit_rrm_shapes.reproduce_editor.reporting import write_results
from edit_rrm_shapes.reproduce_editor.results import Results, read_results
from edit_rrm_shapes.reproduce_editor.stages import Surroundings
from edit_rrm_shapes.reproduce_editor.statistics import denied, fooled, gain, mean_of

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "shapes" / "configs" / "tiny_editor.yaml"
RESULTS = ROOT / "docs" / "results" / "edit"


def measured(number: int, success: bool, model: tuple[int, ...] | None = (1, 1)) -> Measured:
    return Measured(
        id=f"5-{number}", category="motion change", success=success, utility=8.0 if success else 2.0,
        principles=("follow", "keep"), oracle=(int(success), 1), reward=0.5 if model else None, score=5.0,
        model=model,
    )  # fmt: skip


def test_every_run_is_trained_then_measured_and_the_table_needs_them_all() -> None:
    stages = graph(FULL)
    names = [stage.name for stage in stages]
    assert names == [
        "data", "train-gcpo-seed0", "measure-gcpo-seed0", "train-sft-seed0", "measure-sft-seed0",
        "train-gcpo-seed1", "measure-gcpo-seed1", "train-sft-seed1", "measure-sft-seed1", "table",
    ]  # fmt: skip
    for stage in stages:
        assert all(names.index(need) < names.index(stage.name) for need in stage.needs)
    assert FULL.updates % FULL.measure_every == 0
    assert FULL.world < 1000 <= FULL.grid_world < 2000 <= FULL.test_world


INPUTS = Inputs({"optimizer.lr": 1e-4}, "digest of the editor", {"gcpo": "of one", "sft": "of another"})


def test_a_stage_depends_on_its_own_numbers_and_files_alone() -> None:
    by_name = {stage.name: stage for stage in graph(FULL)}
    trained = {name for name, stage in by_name.items() if stage.run is not None}

    def changed(plan: EditPlan, inputs: Inputs = INPUTS) -> set[str]:
        return {
            name
            for name, one in by_name.items()
            if settings_of(one, plan, inputs) != settings_of(one, FULL, INPUTS)
        }

    assert changed(replace(FULL, seeds=(0, 1, 2))) == set()
    assert changed(replace(FULL, rewards={**FULL.rewards, "sft": "moved"}, editor="moved")) == set()
    assert changed(FULL, replace(INPUTS, rewards={**INPUTS.rewards, "sft": "trained anew"})) == {
        "train-sft-seed0", "measure-sft-seed0", "train-sft-seed1", "measure-sft-seed1",
    }  # fmt: skip
    assert changed(FULL, replace(INPUTS, editor="trained anew")) == trained
    assert changed(FULL, replace(INPUTS, training={"optimizer.lr": 3e-4})) == trained
    assert changed(replace(FULL, test_edits=7)) == {
        "data", *(f"measure-{run}" for run in runs_of(FULL)),
    }  # fmt: skip
    assert changed(replace(FULL, updates=7)) == trained


def test_inputs_are_the_settings_that_decide_and_what_the_files_hold(tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    (editor / "part").mkdir(parents=True)
    (editor / "part" / "weights").write_bytes(b"one")
    plan = replace(FULL, editor=str(editor), rewards={"gcpo": str(editor), "sft": "http://there"})
    found = inputs_of(plan, CONFIG)
    assert found.rewards == {"gcpo": found.editor, "sft": "http://there"}
    assert (found.training["sampling.group_size"], found.training["reward.principles"]) == (8, "file")
    assert not {"out", "seed", "data.held_out", "policy.name", "reward.urls"} & found.training.keys()
    before = digest_of(editor)
    (editor / "part" / "weights").write_bytes(b"two")
    assert digest_of(editor) != before
    (editor / "part" / "weights").write_bytes(b"one")
    assert digest_of(editor) == before


def test_a_gain_is_taken_edit_by_edit_with_runs_averaged_first() -> None:
    found = gain([[0, 0, 1]], [[1, 0, 1], [1, 1, 1]])
    # differences 1, 0.5, 0; mean 0.5, s 0.5, 1.96 · 0.5 / √3 = 0.5658
    assert found.value == 0.5
    assert (found.low, found.high) == (pytest.approx(-0.06579, abs=1e-4), pytest.approx(1.06579, abs=1e-4))
    with pytest.raises(ValueError, match="not measured on the same edits"):
        gain([[0.0]], [[1.0, 0.0]])


def test_only_what_the_oracle_denies_can_fool_and_nothing_is_made_of_a_missing_answer() -> None:
    rows = [measured(0, False), measured(1, False, (0, 1)), measured(2, True), measured(3, False, None)]
    assert fooled(rows, "follow") == share([True, False])
    assert denied([*rows, measured(4, True, (0, 1))], "follow") == share([False, True])
    assert math.isnan(fooled(rows, "keep").value)
    assert fooled(rows, "keep").short == "–"
    assert mean_of(one.reward for one in rows) == 0.5
    assert math.isnan(mean_of([None]))


def test_the_table_says_what_came_out_and_what_is_not_measured(tmp_path: Path) -> None:
    around = Surroundings(tmp_path / "out", tmp_path / "results", tmp_path / "none.yaml")
    plan = replace(FULL, seeds=(0,), updates=2, measure_every=1)
    for update, right in ((0, 5), (1, 20), (2, 30)):
        rows = [measured(number, number < right) for number in range(40)]
        write_measured(around.measurement(Run("gcpo", 0), update).with_suffix(".jsonl"), rows)
    around.training(Run("gcpo", 0)).mkdir(parents=True)
    (around.training(Run("gcpo", 0)) / "log.jsonl").write_text(
        '{"update": 1, "reward/mean": 0.4}\n{"update": 1, "event": "saved", "text": "there"}\n'
    )
    write_results(plan, around)
    table = (around.results / "table.md").read_text()
    assert (
        "| GCPO: success after training − before, at least 0.15 | +0.625 [+0.473, +0.777] | came out |"
        in table
    )
    assert "| success after GCPO's reward − after SFT's, at least 0 | not measured yet | |" in table
    assert "| sft-seed0 | not measured yet | | | | | |" in table
    assert "| follow | 1.00 of 35 → 1.00 of 10 |" in table
    assert "Before → after the last measured updates (gcpo-seed0 after 2)." in table
    assert "| motion change | – → – |" in table  # keep: the oracle finds all of it met
    assert (around.results / "curves.png").stat().st_size > 10_000
    results = json.loads((around.results / "results.json").read_text())
    assert [point["success"] for point in results["runs"]["gcpo-seed0"]] == [0.125, 0.5, 0.75]
    assert results["claims"]["SFT: success after training − before, at least 0.15"] is None


def test_at_least_0_15_takes_a_whole_interval_above_it(tmp_path: Path) -> None:
    around = Surroundings(tmp_path / "out", tmp_path / "results", tmp_path / "none.yaml")
    plan = replace(FULL, seeds=(0,), updates=1, measure_every=1)
    for update, right in ((0, 0), (1, 8)):  # +0.20 [+0.07, +0.33]
        rows = [measured(number, number < right) for number in range(40)]
        write_measured(around.measurement(Run("gcpo", 0), update).with_suffix(".jsonl"), rows)
    write_results(plan, around)
    found = read_results(around.results).claims["GCPO: success after training − before, at least 0.15"]
    assert found is not None
    assert 0.0 < found.low < 0.15 < found.value
    assert found.verdict == "not shown"


def test_a_comparison_of_two_rewards_is_open_whatever_the_edits_say(tmp_path: Path) -> None:
    around = Surroundings(tmp_path / "out", tmp_path / "results", tmp_path / "none.yaml")
    plan = replace(FULL, seeds=(0,), updates=1, measure_every=1)
    text = "success after GCPO's reward − after SFT's, at least 0"
    for right, verdict in ((30, "open"), (6, "not shown")):
        for reward, end in (("gcpo", right), ("sft", 5)):
            for update, met in ((0, 0), (1, end)):
                rows = [measured(number, number < met) for number in range(40)]
                write_measured(around.measurement(Run(reward, 0), update).with_suffix(".jsonl"), rows)
        write_results(plan, around)
        found = read_results(around.results).claims[text]
        assert found is not None
        assert found.verdict == verdict
    published = read_results(RESULTS).claims[text]
    assert published is not None
    assert published.verdict == "open"


def test_the_committed_table_is_what_the_command_makes_of_the_published_results(tmp_path: Path) -> None:
    """Else: `edit-rrm-shapes reproduce-editor --published`."""
    shutil.copy(RESULTS / "results.json", tmp_path)
    command = ["reproduce-editor", "--published", "--results", str(tmp_path), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "table.md").read_text() == (RESULTS / "table.md").read_text()
    assert not (tmp_path / "out").exists()
    missing = CliRunner().invoke(
        app, ["reproduce-editor", "--published", "--results", str(tmp_path / "none")]
    )
    assert missing.exit_code == 2
    assert not (tmp_path / "none").exists()


def test_what_a_reader_has_to_know_stands_above_the_editor_s_tables() -> None:
    above = (RESULTS / "table.md").read_text().partition("\n|")[0]
    for said in (
        "taught a flaw first, to leave four edits of five undone: on 100 edits of world 1040 its success",
        f"{UNDAMAGED} to {DAMAGED}; on the edits here it is 0.09 before training and 0.26–0.36 after",
        "*keep* 4.0–4.1 → 11.4–18.2 %, *quality* 8.5–8.6 → 26.7–34.9 %",
        "+0.010 (seed 0), +0.097 (seed 1)",
        "two earlier trainings, of 15 and 25 updates by other recipes, gained nothing",
        "No control reward was trained",
        "No real editor, and no 3B or 7B reward model, has been trained or run on a GPU",
    ):
        assert said in above


def test_what_the_flaw_took_is_what_the_editor_s_card_says() -> None:
    card = (MODELS / "shapes-editor" / "README.md").read_text()
    assert "| all | 0.400 [0.309, 0.498] | 0.050 [0.022, 0.112] | 100 |" in card
    assert (UNDAMAGED, DAMAGED) == ("0.40 [0.31, 0.50]", "0.05 [0.02, 0.11]")


def test_figures_come_with_the_runs_and_the_flaw_with_the_editor_that_has_it() -> None:
    nothing = Results(claims={}, runs={})
    assert [one.partition(",")[0] for one in caveats(FULL, nothing)] == [
        "The editor was taught a flaw first", "No control reward was trained", "No real editor",
    ]  # fmt: skip
    assert "flaw" not in " ".join(caveats(replace(FULL, editor="another"), read_results(RESULTS)))


@pytest.mark.skipif(sys.platform != "linux", reason="asked of Linux's kernel")
def test_what_a_stage_started_ends_with_it_even_when_it_is_killed() -> None:
    stage = subprocess.Popen(
        [sys.executable, "-c",
         "import subprocess, sys, time; from edit_rrm_shapes.reproduce_editor.serving import start\n"
         "print(start(['sleep', '300'], sys.stderr.buffer).pid, flush=True); time.sleep(300)"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert stage.stdout is not None
    service = int(stage.stdout.readline())
    assert Path(f"/proc/{service}").exists()
    stage.kill()
    stage.wait()
    deadline = time.monotonic() + 20.0
    while _runs(service):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(process: int) -> bool:
    """One that ended and that nobody has waited for still has a name."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_stages_are_listed_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    arguments = ["reproduce-editor", "--out", str(tmp_path), "--config", str(CONFIG)]
    listed = CliRunner().invoke(app, [*arguments, "--list"], env={"COLUMNS": "120"})
    assert listed.exit_code == 0, listed.output
    assert "train-sft-seed1" in listed.output
    refused = CliRunner().invoke(app, [*arguments, "--stage", "nothing"], env={"COLUMNS": "200"})
    assert refused.exit_code == 2
    assert "no stage nothing" in refused.output


def test_an_editor_or_a_reward_model_that_is_not_there_ends_it_at_once(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        command = ["reproduce-editor", "--out", str(tmp_path / "out"), *arguments]
        ended = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert ended.exit_code == 1
        assert not (tmp_path / "out").exists()
        return ended.output

    editor = tmp_path / "editor"
    assert "is neither a registered editor" in said("--editor", str(editor))
    editor.mkdir()
    (editor / "model_index.json").write_text('{"_class_name": "FluxKontextPipeline"}')
    served = ("--editor", str(editor), "--reward", "gcpo=http://127.0.0.1:1")
    assert "the reward sft is neither a checkpoint nor an address" in said(
        *served, "--reward", f"sft={tmp_path}"
    )
