"""The oracle judges pictures as the gold judges scenes, and is measured against it."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from another_hand import as_another_editor_draws
from PIL import Image
from typer.testing import CliRunner

from edit_rrm_shapes.cli.app import app
from edit_rrm_shapes.oracle import Judgement, judge
from edit_rrm_shapes.oracle.accuracy import agreement_of, outcomes_of, treated
from edit_rrm_shapes.oracle.edited_pictures import judge_pictures, summarise
from edit_rrm_shapes.oracle.judging import judge_scene
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.edits import Edit, EditKind, Request, perform
from edit_rrm_shapes.world.render import render
from edit_rrm_shapes.world.scene import Scene, Thing
from edit_rrm_training.errors import RowError

RED_CIRCLE = Thing("circle", "red", "solid", 0, 0, 0, 11)
GREEN_SQUARE = Thing("square", "green", "solid", 4, 0, 0, 11)
SOURCE = Scene((RED_CIRCLE, GREEN_SQUARE), "gray")
RECOLOUR = Request((Edit(EditKind.RECOLOUR, RED_CIRCLE, "blue"),), "make the red circle blue")
DONE = replace(SOURCE, things=(replace(RED_CIRCLE, colour="blue"), GREEN_SQUARE))


def judged(scene: Scene, request: Request = RECOLOUR) -> Judgement:
    return judge(SOURCE, request, render(scene, 5))


@pytest.mark.parametrize("index", range(10))
def test_candidates_are_judged_as_their_scenes_are(index: int) -> None:
    edit = make_edit(21, index, 4)
    for candidate in edit.candidates:
        judgement = judge(edit.source, edit.request, candidate.picture())
        assert [f.met for f in judgement.findings] == [f.met for f in candidate.findings]
        assert judgement.score == candidate.score
        assert judgement.utility == pytest.approx(candidate.utility, abs=0.3)


def test_a_proper_edit_succeeds_and_no_edit_has_no_utility() -> None:
    done, nothing = judged(DONE), judged(SOURCE)
    assert (done.success, done.score, done.utility) == (True, 10.0, 10.0)
    assert (nothing.success, nothing.score, nothing.utility) == (False, 0.0, 0.0)


def test_success_needs_every_follow_and_keep_verdict_and_no_quality_verdict() -> None:
    wrong_colour = replace(SOURCE, things=(replace(RED_CIRCLE, colour="purple"), GREEN_SQUARE))
    damaged = replace(DONE, things=DONE.things[:1])
    blurred = judged(replace(DONE, blur=2.0))
    assert not judged(wrong_colour).success
    assert not judged(damaged).success
    assert blurred.success
    assert blurred.score == 8.0
    assert blurred.utility < 8


def test_colours_a_few_levels_off_do_not_make_an_edit_of_nothing() -> None:
    darkened = replace(SOURCE, tone="darker", tone_strength=0.08)
    assert judged(darkened).utility == 0
    tone = Request((Edit(EditKind.TONE, value="darker"),), "make the image darker")
    assert judged(darkened, tone).utility > 0  # where it was asked for it is an edit, too weak to succeed
    assert not judged(darkened, tone).success
    brighter = Request((Edit(EditKind.TONE, value="brighter"),), "make the image brighter")
    assert judged(darkened, brighter).utility == 0


@pytest.mark.parametrize("index", range(10))
def test_another_hand_s_proper_edit_succeeds_and_its_lack_of_one_has_no_utility(index: int) -> None:
    edit = make_edit(22, index, 0)
    scene = edit.source
    for step in edit.request.edits:
        scene = perform(scene, step, random.Random(index))
    assert judge(edit.source, edit.request, as_another_editor_draws(scene, index)).success
    nothing = judge(edit.source, edit.request, as_another_editor_draws(edit.source, index))
    assert not nothing.success
    # Colours a few levels off cannot be told from the beginning of the tone that was asked for.
    asks_for_a_tone = any(step.kind is EditKind.TONE for step in edit.request.edits)
    assert nothing.utility <= (1.5 if asks_for_a_tone else 0)


def edited_folder(folder: Path, indices: Sequence[int]) -> Path:
    """edits.jsonl, and for every edit a picture in which it was done properly."""
    lines = []
    for index in indices:
        edit = make_edit(2000, index, 0)
        scene = edit.source
        for step in edit.request.edits:
            scene = perform(scene, step, random.Random(index))
        render(scene, index).save(folder / f"{edit.id}.png")
        lines.append(json.dumps({"id": edit.id, "instruction": edit.request.instruction, "source": "x.png"}))
    (folder / "edits.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "edits.jsonl"


def test_an_editor_s_pictures_are_judged_by_category(tmp_path: Path) -> None:
    edits = edited_folder(tmp_path, range(6))
    source = make_edit(2000, 5, 0)
    source.picture().save(tmp_path / "2000-5.png")  # the last one was left as it was
    pictures = list(judge_pictures(edits, tmp_path))
    assert [picture.success for picture in pictures] == [True] * 5 + [False]
    assert pictures[5].utility == 0
    results = summarise(pictures)
    assert (results["all"].success.hits, results["all"].success.total) == (5, 6)
    assert results["all"].utility == pytest.approx(sum(p.utility for p in pictures) / 6)
    assert sum(results[name].success.total for name in results if name != "all") == 6
    assert results[source.request.category].success.hits < results[source.request.category].success.total


def test_a_bad_row_or_picture_is_named(tmp_path: Path) -> None:
    edits = edited_folder(tmp_path, range(2))

    def problem() -> RowError:
        with pytest.raises(RowError) as caught:
            list(judge_pictures(edits, tmp_path))
        assert caught.value.path == edits
        return caught.value

    good = edits.read_text()
    Image.new("RGB", (48, 48)).save(tmp_path / "2000-1.png")
    assert (problem().row, problem().field) == (2, "id")
    assert "2000-1.png: expected 96×96" in str(problem())
    (tmp_path / "2000-1.png").write_bytes(b"no image")
    assert problem().row == 2
    (tmp_path / "2000-1.png").unlink()
    assert "expected a picture" in str(problem())
    edits.write_text(good.replace("2000-0", "../2000-0"))
    assert "expected SEED-INDEX" in str(problem())
    edits.write_text(good.replace('"2000-0"', '"2000-7"'))
    assert (problem().row, problem().field) == (1, "instruction")
    edits.write_text('{"id": "2000-0"}\n')
    assert (problem().row, problem().field) == (1, "instruction")


def test_the_judge_command_writes_a_line_a_picture_and_the_table(tmp_path: Path) -> None:
    edits = edited_folder(tmp_path, range(3))
    out, summary = tmp_path / "judged.jsonl", tmp_path / "summary.json"
    command = ["judge", "--edits", str(edits), "--pictures", str(tmp_path)]
    result = CliRunner().invoke(app, [*command, "--out", str(out), "--summary", str(summary)])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["id"], row["success"]) for row in rows] == [(f"2000-{i}", True) for i in range(3)]
    assert json.loads(summary.read_text())["all"]["success"] == {
        "value": 1.0, "n": 3, "interval95": [0.4385, 1.0],
    }  # fmt: skip
    (tmp_path / "2000-2.png").unlink()
    failed = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "again.jsonl")])
    assert failed.exit_code == 1
    assert "row 3" in failed.output
    assert not (tmp_path / "again.jsonl").exists()


def test_the_oracle_command_measures_against_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "oracle.json"
    result = CliRunner().invoke(app, ["oracle", "--count", "2", "--out", str(out)])
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert found["read_right"]["clean"]["presence"]["n"] == 18
    assert found["read_right"]["clean"]["whole scene"]["value"] == 1.0
    assert found["agreement"]["shares"]["success"]["n"] == 8


def test_a_missed_thing_is_wrong_in_all_its_attributes() -> None:
    seen = replace(SOURCE, things=(replace(RED_CIRCLE, colour="orange"),))
    outcomes = outcomes_of(SOURCE, seen)
    assert outcomes["presence"].count(False) == 1
    assert outcomes["shape"] == [True, False]
    assert outcomes["colour"] == [False, False]
    assert outcomes["background"] == [True]
    assert outcomes["whole scene"] == [False]
    assert outcomes_of(SOURCE, SOURCE)["whole scene"] == [True]


def test_treatments_leave_the_things_as_they_are() -> None:
    scenes = treated(SOURCE, random.Random(0))
    assert scenes["clean"] == SOURCE
    assert all(scene.things == SOURCE.things for scene in scenes.values())
    assert 16 <= scenes["noise"].noise <= 40
    assert scenes["slight tone"].tone_strength < 0.15


def test_agreement_counts_equal_verdicts_and_utility_errors() -> None:
    done, damaged = judge_scene(SOURCE, RECOLOUR, DONE), judge_scene(SOURCE, RECOLOUR, SOURCE)
    agreement = agreement_of([(done, done), (damaged, done)])
    assert agreement.shares["success"].value == 0.5
    assert (agreement.shares["follow verdicts"].hits, agreement.shares["follow verdicts"].total) == (1, 2)
    assert agreement.shares["keep verdicts"].value == 1.0
    assert (agreement.mean_error, agreement.largest_error) == (5.0, 10.0)


def test_an_array_is_judged_as_an_image_is() -> None:
    picture = render(DONE, 1)
    assert judge(SOURCE, RECOLOUR, np.asarray(picture)) == judge(SOURCE, RECOLOUR, picture)
