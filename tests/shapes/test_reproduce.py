"""The reproduction's graph, records, comparisons, and the whole of it in a few steps."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edit_rrm.checkpoint import SamplingDefaults, read_card, write_card
from edit_rrm.traces import render_trace
from edit_rrm_shapes import models
from edit_rrm_shapes.errors import StageError
from edit_rrm_shapes.reproduce_rrm.bases import bundled_base, take_base
from edit_rrm_shapes.reproduce_rrm.caveats import caveats
from edit_rrm_shapes.reproduce_rrm.comparing import Claim, Difference, check, claims_of, difference
from edit_rrm_shapes.reproduce_rrm.dependence import refuse_outdated, settings_of
from edit_rrm_shapes.reproduce_rrm.graph import Model, Stage, chosen, graph, models_of, without_idle
from edit_rrm_shapes.reproduce_rrm.outcomes import JudgedPair, read_outcomes, write_outcomes
from edit_rrm_shapes.reproduce_rrm.plan import FULL, QUICK, Plan
from edit_rrm_shapes.reproduce_rrm.plots import Curve, running_mean
from edit_rrm_shapes.reproduce_rrm.published import Published, publish, published_models, read_measured, take
from edit_rrm_shapes.reproduce_rrm.reporting import write_results
from edit_rrm_shapes.reproduce_rrm.screening import close_pairs, verifier_score
from edit_rrm_shapes.reproduce_rrm.stages import Surroundings, gcpo_settings, run_stage
from edit_rrm_shapes.staged.running import run_graph
from edit_rrm_shapes.staged.state import StageRecord, StageStates
from edit_rrm_shapes.teachers.habits import score_by_count
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card
from edit_rrm_shapes.tiny_rrm.model import Size
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_shapes.world.rows import shapes_pair_rows
from edit_rrm_training.data.preferences import read_pairs
from edit_rrm_training.data.samples import Sample
from edit_rrm_training.errors import RowError, SettingsError
from edit_rrm_training.rollouts.offline_engine import Completion

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "rrm"
OURS, PAPERS = "GCPO, all scores (ours)", "GCPO (the paper's: credit=trace)"

pytestmark = pytest.mark.slow


def test_every_model_of_the_table_is_trained_and_measured_and_nothing_is_needed_before_it_comes() -> None:
    stages = graph(FULL)
    names = [stage.name for stage in stages]
    assert len(set(names)) == len(names)
    for stage in stages:
        assert all(names.index(need) < names.index(stage.name) for need in stage.needs)
    assert [str(model) for model in models_of(FULL)] == [
        "m-t", "m-v", "m-tv", "m-scorer", "m-trace-seed0", "m-seed0", "m-seed1", "m-seed2",
        "s-t", "s-v", "s-tv", "s-scorer", "s-seed0",
    ]  # fmt: skip
    by_name = {stage.name: stage for stage in stages}
    assert by_name["gcpo-m-seed2"].needs == by_name["gcpo-m-trace-seed0"].needs == ("sft-m-tv",)
    assert by_name["sft-s-scorer"].needs == ("data", "base-s")
    assert set(by_name["table"].needs) == {model.evaluation for model in models_of(FULL)}


def test_the_stages_of_one_size_leave_out_the_other_and_an_unknown_name_is_refused() -> None:
    small = [stage.name for stage in chosen(graph(FULL), size="s")]
    assert small[:3] == ["data", "base-s", "sft-s-tv"]
    assert not any("-m" in name for name in small)
    assert "table" not in small  # which needs the other size too
    assert [stage.name for stage in chosen(graph(FULL), ["table"])] == ["table"]
    assert [stage.name for stage in chosen(graph(FULL), ["base-m"])] == ["base-m"]
    with pytest.raises(SettingsError, match="no stage base-x; the stages are base-m"):
        chosen(graph(FULL), ["base-x"])


def test_a_changed_number_makes_outdated_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    states = StageStates(tmp_path)
    stages = graph(FULL)
    for stage in stages:
        with states.timed(stage.name, settings_of(stage, FULL)):
            pass

    def outdated(plan: Plan) -> set[str]:
        found = set()
        for stage in stages:
            try:
                refuse_outdated([stage], plan, states)
            except StageError:
                found.add(stage.name)
        return found

    small = FULL.sizes["s"]
    other_lr = replace(small, gcpo=(replace(small.gcpo_of("all_scores"), lr=0.5),))
    assert outdated(FULL) == set()
    assert outdated(replace(FULL, sizes={**FULL.sizes, "s": other_lr})) == {
        "gcpo-s-seed0", "evaluate-s-seed0",
    }  # fmt: skip
    more_test = replace(FULL, data=replace(FULL.data, test_edits=700))
    assert outdated(more_test) == {"data", *(model.evaluation for model in models_of(FULL))}
    more_seeds = replace(small, gcpo=(replace(small.gcpo_of("all_scores"), seeds=(0, 1)),))
    assert outdated(replace(FULL, sizes={**FULL.sizes, "s": more_seeds})) == set()


def test_worlds_for_training_validation_and_test_are_kept_apart() -> None:
    data = FULL.data
    assert data.world != data.pairs_world
    assert max(data.world, data.pairs_world) < 1000 <= data.validation_world < 2000 <= data.test_world


def test_screening_keeps_the_pairs_that_the_verifier_finds_close_whatever_their_label() -> None:
    pairs = list(shapes_pair_rows(12, 30, 4))
    kept = list(close_pairs(pairs, 3.0))
    gaps = {p.id: abs(verifier_score(p.preferred) - verifier_score(p.non_preferred)) for p in pairs}
    assert [p.id for p in kept] == [p.id for p in pairs if gaps[p.id] < 3.0]
    assert {"same", "prefer"} == {p.label for p in kept}
    assert 0.3 < len(kept) / len(pairs) < 0.7
    errors = []
    for pair in pairs:
        ref = ShapesRef.parse(pair.preferred)
        candidate = ref.edit().candidates[ref.candidate]
        counted = score_by_count([finding.met for finding in candidate.findings]) if candidate.score else 0.0
        errors.append(abs(verifier_score(pair.preferred) - counted))
    assert sorted(errors)[len(errors) // 2] < 0.3  # half of them within the verifier's error


def test_a_base_that_ships_is_taken_where_it_is_the_plans_and_no_other(tmp_path: Path) -> None:
    stages = json.loads(json.dumps(asdict(FULL.base)))
    shipped = tmp_path / "edit-rrm-tiny-base-s"
    shipped.mkdir()
    write_card(shipped, tiny_card("base", {"stages": stages, "seconds": {"look": 60, "base": 120}}))
    assert bundled_base("s", FULL.base, tmp_path) == shipped
    assert bundled_base("m", FULL.base, tmp_path) is None
    assert bundled_base("s", QUICK.base, tmp_path) is None
    (tmp_path / "runs").mkdir()
    assert take_base(shipped, tmp_path / "runs" / "base").endswith("trained for 3 min")
    assert read_card(tmp_path / "runs" / "base").name == "base"


@pytest.mark.parametrize("shipped", [models.TINY_BASE_M, models.TINY_BASE_S], ids=lambda path: path.name)
def test_the_bases_that_ship_are_the_plans(shipped: Path) -> None:
    size: Size = "s" if shipped.name.endswith("-s") else "m"
    base = bundled_base(size, FULL.base)
    assert base == shipped
    assert {tensor.dtype for tensor in load_file(base / "model.safetensors").values()} == {torch.float16}


def test_the_tv_checkpoint_that_ships_is_what_the_plan_makes() -> None:
    """docs/train-the-rrm.md copies it, and its record, into a run directory."""
    root = Path(__file__).parents[2]
    record = StageRecord.model_validate_json((RESULTS / "stages/sft-m-tv.json").read_text())
    (stage,) = (stage for stage in graph(FULL) if stage.name == record.stage)
    assert record.done
    assert record.settings == settings_of(stage, FULL)
    card = read_card(root / "shapes/edit_rrm_shapes/models/edit-rrm-tiny-sft")
    sft = FULL.sizes["m"].sft
    trained = card.training["settings"]
    assert (trained["steps"], trained["lr"], trained["batch_per_device"]) == (sft.steps, sft.lr, sft.batch)
    assert card.training["base"]["training"]["stages"] == json.loads(json.dumps(asdict(FULL.base)))


def test_the_gcpo_checkpoint_that_ships_is_what_the_plan_makes() -> None:
    """docs/results/rrm has its measurement as seed 0's."""
    card = read_card(Path(__file__).parents[2] / "shapes/edit_rrm_shapes/models/edit-rrm-tiny-gcpo")
    gcpo, trained = asdict(FULL.sizes["m"].gcpo_of("all_scores")), card.training["settings"]
    alike = (
        "steps", "lr", "lr_schedule", "warmup_steps", "temperature",
        "traces", "pairs_per_step", "credit", "kl",
    )  # fmt: skip
    assert {name: trained[name] for name in alike} == {name: gcpo[name] for name in alike}
    assert (trained["lora"]["rank"], trained["seed"]) == (gcpo["lora_rank"], 0)
    assert card.training["base"]["name"] == "edit-rrm-tiny-m-tv"


def test_what_is_published_is_of_the_plan() -> None:
    """A changed plan asks for other results: train again, or take the file away."""
    files = {file.stem for file in (RESULTS / "measured").iterdir()}
    assert files == {str(model) for model in published_models(RESULTS, FULL)}
    by_name = {stage.name: stage for stage in graph(FULL)}
    for file in (RESULTS / "stages").iterdir():
        record = StageRecord.model_validate_json(file.read_text())
        assert record.settings == settings_of(by_name[record.stage], FULL), file


@pytest.fixture(scope="module")
def table_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of what is published, written anew."""
    folder = tmp_path_factory.mktemp("again")
    out, results = folder / "out", folder / "results"
    shutil.copytree(RESULTS, results)
    assert take(out, results, FULL) == models_of(FULL)
    write_results(FULL, out, results)
    return results


def test_the_committed_table_is_what_the_published_measurements_make(table_again: Path) -> None:
    """Else: `edit-rrm-shapes reproduce-rrm --published --stage table`."""
    for file in [*sorted(RESULTS.rglob("*.json")), RESULTS / "table.md"]:
        assert (table_again / file.relative_to(RESULTS)).read_text() == file.read_text(), file.name


def test_the_paper_s_gcpo_and_ours_are_rows_of_their_own_with_verdicts_of_their_own(
    table_again: Path,
) -> None:
    found = json.loads((table_again / "results.json").read_text())
    rows = {f"{one['size']} {one['variant']}": one["pairs"]["accuracy"]["value"] for one in found["models"]}
    assert (rows["m T+V"], rows[f"m {PAPERS}, seed 0"], rows[f"m {OURS}, seed 0"]) == (0.7792, 0.8078, 0.8648)
    claims = {one["claim"]: one for one in found["claims"]}
    papers = claims[f"M: {PAPERS} > T+V by at least 4 points, seed 0"]
    assert papers["verdict"] == "not shown"
    low, high = (100 * papers["difference"][end] for end in ("low", "high"))
    assert (round(low, 1), round(high, 1)) == (1.3, 4.4)
    ours = [one["verdict"] for text, one in claims.items() if f"M: {OURS} > T+V by at least 4 points" in text]
    assert ours == ["came out"] * 4
    table = (table_again / "table.md").read_text()
    assert f"| M | {PAPERS}, seed 0 | 80.8 [79.1, 82.4] |" in table
    assert f"| M | {OURS}, seed 0 | 86.5 [85.0, 87.9] |" in table


def test_what_was_measured_under_another_plan_says_which() -> None:
    published = Published.model_validate_json((RESULTS / "measured" / "m-trace-seed0.json").read_text())
    assert "at a1e19b4" in (published.training.origin or "")
    assert published.training.settings["gcpo"]["credit"] == "trace"


def test_what_a_reader_has_to_know_stands_above_the_tables(table_again: Path) -> None:
    above = (table_again / "table.md").read_text().partition("\n|")[0]
    for said in (
        "teachers were changed first",
        "T and V stand in the other order than the paper's Qwen2.5-VL: here T 69.4 and V 54.6 in M, T 59.5",
        "(for Seed-1.6-VL T 71.2 and V 69.4)",
        f"{PAPERS} was measured first (200 steps of 8 pairs × 2 × 4 traces, 1 seed)",
        "looked at three times before this table",
        "SFT is one seed a cell",
        "No 3B or 7B model has been trained or run on a GPU with this code",
    ):
        assert said in above


def test_the_order_of_t_and_v_is_the_measurement_s() -> None:
    right, wrong = [pair(0, "x", 2, 1)], [pair(0, "x", 1, 2)]

    def said(t: list[JudgedPair], v: list[JudgedPair]) -> list[str]:
        sentences = caveats(QUICK, {Model("s", "t"): t, Model("s", "v"): v})
        return [sentence for sentence in sentences if sentence.startswith("T and V")]

    other, same = said(right, wrong)[0], said(wrong, right)[0]
    assert "in the other order than the paper's Qwen2.5-VL: here T 100.0 and V 0.0 in S, there" in other
    assert "in the order of the paper's Qwen2.5-VL: here T 0.0 and V 100.0 in S, there" in same
    assert not any(sentence.startswith("T and V") for sentence in caveats(QUICK, {}))


def test_the_paper_s_gcpo_is_run_with_its_own_numbers(tmp_path: Path) -> None:
    around = Surroundings(tmp_path, tmp_path, LaterIsBetter)
    papers = gcpo_settings(Model("m", "tv", 0, "trace"), FULL, around)
    assert (papers.credit, papers.kl, papers.steps, papers.pairs_per_step, papers.traces) == (
        "trace", 0.0, 200, 8, 4,
    )  # fmt: skip
    ours = gcpo_settings(Model("m", "tv", 1), FULL, around)
    assert (ours.credit, ours.kl, ours.steps, ours.seed) == ("all_scores", 0.1, 100, 1)
    assert papers.base == ours.base
    assert papers.out != ours.out


def pair(number: int, edit: str, preferred: float | None, other: float | None) -> JudgedPair:
    return JudgedPair(pair=str(number), edit=edit, category="c", preferred=preferred, other=other)


def test_a_difference_is_taken_pair_by_pair_with_edits_as_units() -> None:
    a = [pair(0, "x", 2, 1), pair(1, "x", 2, 1), pair(2, "y", 2, 1), pair(3, "y", 1, 1)]
    b = [pair(0, "x", 1, 2), pair(1, "x", 1, 2), pair(2, "y", 2, 1), pair(3, "y", None, 1)]
    found = difference([a], [b])
    # x gains 2 of its 2 pairs, y none: 0.5; residuals ±1, variance 2 · (1 + 1) / 16 = 0.25, 1.96 · 0.5 = 0.98
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - 0.97998, abs=1e-5)
    assert found.high == pytest.approx(0.5 + 0.97998, abs=1e-5)
    assert (found.pairs, found.edits) == (4, 2)
    assert difference([a, b], [b]).value == 0.25
    assert str(found) == "+50.0 [-48.0, +148.0]"
    with pytest.raises(ValueError, match="not asked about the same pairs"):
        difference([a], [b[:3]])


def test_outcomes_are_read_as_they_were_written_also_where_nothing_parsed(tmp_path: Path) -> None:
    written = [pair(0, "x", 2, 1), pair(1, "x", None, 1), pair(2, "y", None, None)]
    write_outcomes(tmp_path, written)
    assert read_outcomes(tmp_path) == written
    assert [outcome.right for outcome in written] == [True, False, False]


@pytest.mark.parametrize(
    ("value", "low", "high", "answer"),
    [
        (0.06, 0.041, 0.08, "came out"),
        (0.045, 0.02, 0.06, "not shown"),  # the mean is above the bar, the interval is not
        (0.05, -0.01, 0.11, "not shown"),
        (0.03, 0.01, 0.05, "not shown"),
        (0.05, 0.04, 0.06, "not shown"),
        (0.02, 0.01, 0.03, "did not come out"),
        (-0.01, -0.02, 0.00, "did not come out"),
    ],
)
def test_at_least_4_points_takes_a_whole_interval_above_4(
    value: float, low: float, high: float, answer: str
) -> None:
    claim = Claim("GCPO > T+V", (), (), at_least=0.04)
    assert claim.answer(Difference(value, low, high, 100, 20)) == answer
    assert claim.answer(None) == "not measured"


def test_the_expected_inequalities_are_the_issue_s() -> None:
    claims = {claim.text: claim for claim in claims_of(FULL)}
    gain = claims[f"M: {OURS} > T+V by at least 4 points, mean of 3 seeds"]
    assert gain.better == tuple(Model("m", "tv", seed) for seed in (0, 1, 2))
    assert gain.worse == (Model("m", "tv"),)
    assert claims[f"M: {PAPERS} > T+V by at least 4 points, seed 0"].at_least == 0.04
    assert {"M: T+V > T", "M: T+V > V", "M: verifier (T+V) > scorer", "M > S, T+V"} <= set(claims)
    assert claims[f"M > S, {OURS}"].worse == (Model("s", "tv", 0),)
    assert check(gain, {Model("m", "tv"): [pair(0, "x", 1, 0)]}) is None


def test_a_curve_holds_the_lines_that_have_the_measure() -> None:
    curve = Curve(
        "run", [{"step": 1, "reward": 0.5}, {"step": 1, "accuracy": 0.9}, {"step": 2, "reward": 0.7}]
    )
    assert curve.points("reward") == ([1, 2], [0.5, 0.7])
    assert running_mean([1.0, 2.0, 6.0, 7.0], 2) == [1.0, 1.5, 4.0, 6.5]


def measure(out: Path, model: Model, plan: Plan) -> None:
    """As if it had been trained and measured, with one pair."""
    by_name, states = {stage.name: stage for stage in graph(plan)}, StageStates(out)
    write_outcomes(out / model.evaluation, [pair(0, "x", 1, 0)])
    (out / model.evaluation / "evaluation.json").write_text('{"measures": {}}')
    for name in (model.stage, model.evaluation):
        states.adopt(StageRecord(stage=name, settings=settings_of(by_name[name], plan), done=True))


def known(out: Path, model: Model) -> Published:
    found = read_measured(out, model)
    assert found is not None
    return found


def test_a_published_model_is_taken_unless_its_plan_was_another_or_its_checkpoint_is_needed(
    tmp_path: Path,
) -> None:
    there, here, results = tmp_path / "there", tmp_path / "here", tmp_path / "results"
    base, tuned, other = Model("s", "tv"), Model("s", "tv", 0), Model("s", "t")
    for model in (base, other):
        measure(there, model, QUICK)
        publish(results, model, known(there, model))
    assert read_measured(there, tuned) is None  # nothing to publish
    assert sorted(file.name for file in (results / "measured").iterdir()) == ["s-t.json", "s-tv.json"]

    assert take(here, results, QUICK) == [other]
    states = StageStates(here)
    assert states.is_done(other.stage)
    assert not states.is_done(base.stage)  # GCPO goes on from it
    assert not states.is_done(base.evaluation)  # of another checkpoint than the one to be trained here
    assert read_outcomes(here / other.evaluation) == [pair(0, "x", 1, 0)]
    assert take(here, results, QUICK) == []

    copied = tmp_path / "copied"  # with the checkpoint, its record
    StageStates(copied).adopt(known(there, base).training)
    assert take(copied, results, QUICK) == [other, base]
    trained = tmp_path / "trained"
    StageStates(trained).adopt(known(there, base).training.model_copy(update={"wall_s": 1234.5}))
    assert take(trained, results, QUICK) == [other]

    measure(there, tuned, QUICK)
    publish(results, tuned, known(there, tuned))
    assert take(here, results, QUICK) == [base, tuned]
    assert take(tmp_path / "new", results, QUICK) == [other, base, tuned]
    assert StageStates(tmp_path / "new").is_done(base.stage)

    longer = replace(QUICK.sizes["s"], sft=replace(QUICK.sizes["s"].sft, steps=4))
    assert take(tmp_path / "longer", results, replace(QUICK, sizes={"s": longer})) == []
    (results / "measured" / "s-t.json").write_text('{"training": 1}')
    with pytest.raises(RowError, match=r"s-t\.json.*training"):
        take(tmp_path / "broken", results, QUICK)


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        ([], set()),
        (["evaluate-s-t"], {"data", "base-s"}),  # its pairs are of the data
        (["gcpo-s-seed0", "evaluate-s-seed0"], {"data", "base-s"}),
        (["sft-m-v", "evaluate-m-v"], {"data", "base-m"}),
    ],
)
def test_data_and_bases_of_which_all_is_measured_are_not_made(left: list[str], kept: set[str]) -> None:
    stages = graph(FULL)
    names = {stage.name for stage in without_idle(stages, lambda name: name not in left)}
    idle = {"data", "base-s", "base-m"}
    assert names & idle == kept
    assert names | idle == {stage.name for stage in stages}


class LaterIsBetter:
    """Writes traces whose score is the candidate's number, and no decomposition; for a scorer the reverse."""

    def __init__(self, checkpoint: Path) -> None:
        self._reverse = "scorer" in str(checkpoint)

    def complete(self, samples: Sequence[Sample], sampling: SamplingDefaults) -> list[Completion]:
        judged = iter(range(len(samples)))
        return [Completion(self._text(sample, next(judged))) if len(sample.images) == 2 else Completion("")
                for sample in samples]  # fmt: skip

    def _text(self, sample: Sample, number: int) -> str:
        candidate = number % QUICK.data.candidates
        if self._reverse:
            return f"<score>{9 - candidate}.0</score>"
        words = "".join(part for m in sample.prompt.messages for part in m.parts if isinstance(part, str))
        count = sum(line[:1].isdigit() for line in words.splitlines())
        return render_trace([("seen", True)] * count, float(candidate))


def _note(ran: list[str], out: Path, stage: Stage) -> None:
    with StageStates(out).timed(stage.name, settings_of(stage, QUICK)):
        ran.append(stage.name)


def test_the_quick_plan_goes_through_every_stage_and_yields_the_table(tmp_path: Path) -> None:
    out, results = tmp_path / "run", tmp_path / "results"
    said: list[str] = []
    around = Surroundings(out, results, LaterIsBetter, say=said.append)
    states = StageStates(out)

    def launch(stage: Stage, lock: int) -> None:
        with states.timed(stage.name, settings_of(stage, QUICK)):
            run_stage(stage, QUICK, around)

    run_graph(graph(QUICK), states, launch, say=said.append)
    found: dict[str, Any] = json.loads((results / "results.json").read_text())
    pairs = read_pairs(around.pairs("test")).pairs
    later = sum(str(pair.preferred) > str(pair.non_preferred) for pair in pairs)
    models = {model["variant"]: model for model in found["models"]}
    assert list(models) == ["T", "V", "T+V", "scorer", f"{OURS}, seed 0"]
    for name, right in (("T+V", later), (f"{OURS}, seed 0", later), ("scorer", len(pairs) - later)):
        accuracy = models[name]["pairs"]["accuracy"]
        assert accuracy["n"] == len(pairs) > 0
        assert accuracy["value"] == pytest.approx(right / len(pairs), abs=1e-4)
    assert {record["stage"] for record in found["stages"]} == {stage.name for stage in graph(QUICK)}
    table = (results / "table.md").read_text()
    assert f"| S | {OURS}, seed 0 |" in table
    assert "Not measured yet" not in table
    assert (results / "pairs.png").stat().st_size > 0
    assert (results / "gcpo.png").stat().st_size > 0
    rewards = Curve(
        "", [json.loads(x) for x in (out / "gcpo-s-seed0" / "log.jsonl").read_text().splitlines()]
    )
    assert rewards.points("gcpo/reward")[0] == [1, 2]
    # Elsewhere what is published counts as measured, and makes the same table.
    elsewhere, again = tmp_path / "elsewhere", tmp_path / "again"
    assert take(elsewhere, results, QUICK) == models_of(QUICK)
    left = [stage.name for stage in graph(QUICK) if not StageStates(elsewhere).is_done(stage.name)]
    assert left == ["data", "base-s", "table"]
    rest, ran = without_idle(graph(QUICK), StageStates(elsewhere).is_done), []
    run_graph(rest, StageStates(elsewhere), lambda stage, lock: _note(ran, elsewhere, stage), say=said.append)
    assert ran == ["table"]
    write_results(QUICK, elsewhere, again)
    repeated = json.loads((again / "results.json").read_text())
    assert repeated["claims"] == found["claims"]
    assert repeated["before_reading"] == found["before_reading"]
    assert (again / "gcpo.png").read_bytes() == (results / "gcpo.png").read_bytes()
    assert (again / "measured" / "s-tv.json").read_bytes() == (
        results / "measured" / "s-tv.json"
    ).read_bytes()
    # Done stages are not run again, and the table can be written while something is missing.
    run_graph(graph(QUICK), states, lambda stage, lock: pytest.fail(stage.name), say=said.append)
    (out / "stages" / "evaluate-s-v.json").unlink()
    write_results(QUICK, out, results)
    table = (results / "table.md").read_text()
    assert "Not measured yet: s-v." in table
    assert "| S: T+V > V | not measured |" in table
