"""The truth of the shapes world: principles, verdicts, score, utility."""

import random
from dataclasses import replace

import pytest

from edit_rrm.principles import Category, count_by_category, numbered
from edit_rrm.traces import parse_trace, render_trace
from edit_rrm_shapes.world.dataset import make_edit
from edit_rrm_shapes.world.edits import Edit, EditKind, Request, perform
from edit_rrm_shapes.world.gold import checks_of, find, is_no_edit, score_of, utility_of
from edit_rrm_shapes.world.scene import CELLS, Scene, Thing

RED_CIRCLE = Thing("circle", "red", "solid", 0, 0, 0, 10)
GREEN_SQUARE = Thing("square", "green", "solid", 4, 0, 0, 10)
SOURCE = Scene((RED_CIRCLE, GREEN_SQUARE), "gray")
RECOLOUR = Request((Edit(EditKind.RECOLOUR, RED_CIRCLE, "blue"),), "make the red circle blue")


def judge(candidate: Scene, request: Request = RECOLOUR) -> tuple[list[str], float, float]:
    checks = checks_of(SOURCE, request)
    findings = [find(check, candidate) for check in checks]
    lines = [f"{f.evidence} => {int(f.met)}" for f in findings]
    return lines, score_of(SOURCE, candidate, checks, findings), utility_of(SOURCE, candidate, request)


def recoloured(colour: str) -> Scene:
    return replace(SOURCE, things=(replace(RED_CIRCLE, colour=colour), GREEN_SQUARE))


def test_principles_of_a_recolouring() -> None:
    assert [(c.category.value, c.question) for c in checks_of(SOURCE, RECOLOUR)] == [
        ("follow", "Is the circle at the top left now blue?"),
        ("keep", "Is the object at the top left still a circle?"),
        ("keep", "Is the green square at the center unchanged?"),
        ("keep", "Is the background still gray?"),
        ("quality", "Is the image free of noise and blur?"),
        ("quality", "Is the image free of a frame and a colour cast?"),
    ]


def test_a_proper_edit_meets_everything_and_scores_ten() -> None:
    lines, score, utility = judge(recoloured("blue"))
    assert lines[0] == "top left: blue/blue same => 1"
    assert all(line.endswith("=> 1") for line in lines)
    assert (score, utility) == (10.0, 10.0)


def test_no_edit_scores_zero() -> None:
    lines, score, utility = judge(SOURCE)
    assert lines[0] == "top left: red/blue differs => 0"
    assert (score, utility) == (0.0, 0.0)
    noisy = replace(SOURCE, noise=30.0)
    assert judge(noisy)[1:] == (0.0, 0.0)


def test_a_wrong_colour_scores_low_but_not_as_no_edit() -> None:
    _, score, utility = judge(recoloured("purple"))
    assert score == 1.0
    assert 0 < utility < 3


def test_collateral_damage_costs_more_than_a_flaw_of_quality() -> None:
    damaged = replace(recoloured("blue"), things=(replace(RED_CIRCLE, colour="blue"),))
    lines, damaged_score, _ = judge(damaged)
    assert lines[2] == "center: empty/green differs => 0"
    assert damaged_score == 7.0
    assert judge(replace(recoloured("blue"), blur=2.0))[1] == 8.0


def test_utility_knows_magnitudes_that_the_verdicts_do_not() -> None:
    light, strong = (judge(replace(recoloured("blue"), noise=n)) for n in (16.0, 40.0))
    assert light[0] == strong[0]
    assert light[1] == strong[1]
    assert light[2] > strong[2] + 1


def test_half_a_background_and_a_slight_tone_are_not_met() -> None:
    background = Request((Edit(EditKind.BACKGROUND, value="pink"),), "make the background pink")
    half = replace(SOURCE, background="pink", lower_background="gray")
    assert judge(half, background)[0][0] == "background: mixed/pink differs => 0"
    tone = Request((Edit(EditKind.TONE, value="darker"),), "make the image darker")
    slight = replace(SOURCE, tone="darker", tone_strength=0.1)
    assert judge(slight, tone)[0][0] == "tone: slight/darker differs => 0"


@pytest.mark.parametrize("index", range(60))
def test_every_edit_done_properly_meets_every_principle(index: int) -> None:
    edit = make_edit(11, index, 1)
    scene = edit.source
    for step in edit.request.edits:
        scene = perform(scene, step, random.Random(index))
    findings = [find(check, scene) for check in edit.checks]
    assert all(f.met for f in findings), (edit.request.instruction, findings)
    assert not is_no_edit(edit.source, scene)


@pytest.mark.parametrize("index", range(40))
def test_principle_sets_and_gold_traces_are_well_formed(index: int) -> None:
    edit = make_edit(12, index, 4)
    counts = count_by_category(numbered((c.category, c.question) for c in edit.checks))
    assert min(counts.values()) >= 1
    assert len({c.question for c in edit.checks}) == len(edit.checks)
    for candidate in edit.candidates:
        text = render_trace([(f.evidence, f.met) for f in candidate.findings], candidate.score)
        assert [v.met for v in parse_trace(text, len(edit.checks)).verdicts] == [
            f.met for f in candidate.findings
        ]
        assert 0 <= candidate.utility <= 10


def test_all_eight_kinds_occur_and_about_half_of_the_verdicts_are_not_met() -> None:
    edits = [make_edit(13, i, 4) for i in range(400)]
    assert {step.kind for e in edits for step in e.request.edits} == set(EditKind)
    for category in Category:
        met = [
            f.met for e in edits for c in e.candidates
            for check, f in zip(e.checks, c.findings, strict=True) if check.category is category
        ]  # fmt: skip
        assert 0.45 < sum(met) / len(met) < 0.70, category


def test_cells_never_hold_two_things() -> None:
    for index in range(300):
        for candidate in make_edit(14, index, 4).candidates:
            cells = [t.cell for t in candidate.scene.things]
            assert len(set(cells)) == len(cells)
            assert all(0 <= cell < len(CELLS) for cell in cells)
