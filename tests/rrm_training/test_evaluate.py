"""Evaluation with scripted checkpoints whose quality is known."""

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edit_rrm.checkpoint import SamplingDefaults
from edit_rrm.errors import TraceError
from edit_rrm.tokens import Token
from edit_rrm.traces import parse_trace
from edit_rrm_shapes.tiny_rrm.bundle import tiny_card
from edit_rrm_shapes.tiny_rrm.tasks import decompose_completion, verify_completion
from edit_rrm_shapes.world.dataset import SAME_ZONE, make_edit
from edit_rrm_shapes.world.dataset_files import write_dataset
from edit_rrm_shapes.world.evaluation import evaluate_on_world, gold_edit
from edit_rrm_shapes.world.rows import shapes_pair_rows
from edit_rrm_training.cli import evaluate as commands
from edit_rrm_training.cli.app import app
from edit_rrm_training.data.preferences import read_pairs, without_same
from edit_rrm_training.data.samples import Sample
from edit_rrm_training.data.score_only import render_score
from edit_rrm_training.evaluation.details import Details, details_of
from edit_rrm_training.evaluation.evaluate import Evaluation, JudgedEdit, question_of
from edit_rrm_training.evaluation.in_process import InProcessJudge, ScoreOnlyJudge
from edit_rrm_training.evaluation.judging import Drawing
from edit_rrm_training.evaluation.pairs import evaluate_pairs
from edit_rrm_training.evaluation.plots import write_plots
from edit_rrm_training.rollouts.offline_engine import Completion
from shapes_rows import write_lines

SEED, COUNT = 41, 12
CARD = tiny_card("scripted", {})
Change = Callable[[str, SamplingDefaults], str]


def unchanged(text: str, sampling: SamplingDefaults) -> str:
    return text


class Script:
    """Answers from the truth, changed by a function; knows a candidate by its pixels."""

    def __init__(self, decompose: Callable[[str], str] = str, verify: Change = unchanged) -> None:
        self._decompose, self._verify = decompose, verify
        edits = [make_edit(SEED, index, 4) for index in range(COUNT)]
        self._decompositions = {e.picture().tobytes(): decompose_completion(e) for e in edits}
        self._candidates = {c.picture().tobytes(): c for e in edits for c in e.candidates}

    def complete(self, samples: Sequence[Sample], sampling: SamplingDefaults) -> list[Completion]:
        assert not any(sample.completion for sample in samples)  # nothing is teacher-forced
        return [self._answer(sample, sampling) for sample in samples]

    def _answer(self, sample: Sample, sampling: SamplingDefaults) -> Completion:
        if len(sample.images) == 1:
            return Completion(self._decompose(self._decompositions[sample.images[0].tobytes()]))
        candidate = self._candidates[sample.images[1].tobytes()]
        if "Score the edit" in str(sample.prompt):
            return Completion(self._verify(render_score(candidate.score), sampling))
        text = self._verify(verify_completion(candidate), sampling)
        return Completion(text, sure_tokens(text, len(candidate.findings)))


def sure_tokens(text: str, principles: int) -> tuple[Token, ...]:
    """Verdict tokens written with probability 0.9."""
    try:
        places = [v.position for v in parse_trace(text, principles).verdicts if v.position is not None]
    except TraceError:
        return ()
    swapped = {"0": "1", "1": "0"}
    return tuple(Token(text[p], p, -0.10536, {swapped[text[p]]: -2.30259}) for p in places)


def run(script: Script, **options: object) -> tuple[Evaluation, list[JudgedEdit]]:
    return evaluate_on_world(InProcessJudge(script, CARD), seed=SEED, count=COUNT, **options)  # type: ignore[arg-type]


def measures(script: Script) -> dict[str, float]:
    evaluation, judged = run(script)
    assert len(judged) == COUNT
    assert evaluation.as_dict()["edits"] == COUNT
    return {name: share.value for name, share in evaluation.shares.items()}


def details(script: Script, warm: Drawing | None = None) -> Details:
    return details_of(run(script, warm=warm)[1], verdicts=True, same_zone=SAME_ZONE)


def yes(text: str, sampling: SamplingDefaults) -> str:
    return text.replace("=> 0", "=> 1")


def test_a_checkpoint_that_writes_the_truth_is_right_everywhere() -> None:
    found = measures(Script())
    ceiling = found.pop("pairwise accuracy, gold score (ceiling of the verdicts)")
    assert found.pop("pairwise accuracy, score") == ceiling
    assert found.pop("pairs tied by score") < 0.1
    assert set(found.values()) == {1.0}


def test_a_checkpoint_that_says_yes_to_everything_is_found_out() -> None:
    found = measures(Script(verify=yes))
    assert found["traces that parse"] == 1.0
    for category in ("follow", "keep", "quality"):
        assert found[f"verdict accuracy, {category}, met"] == 1.0
        assert found[f"verdict accuracy, {category}, not met"] == 0.0


def test_text_that_is_no_trace_counts_against_everything() -> None:
    found = measures(Script(lambda text: "I would rather not.", lambda text, sampling: text[:-3]))
    assert found["traces that parse"] == 0.0
    assert found["verdict accuracy, all"] == 0.0
    assert found["pairwise accuracy, score"] == 0.0
    assert found["decompositions that validate"] == 0.0
    assert found["decompositions that name the edited thing"] == 0.0


def test_naming_the_wrong_place_is_no_naming() -> None:
    places = ("top left", "bottom right", "center")

    def misplace(text: str) -> str:
        lines = text.split("\n")
        first = next(number for number, line in enumerate(lines) if line.startswith("1. "))
        for place in places:
            lines[first] = lines[first].replace(place, "far left")
        return "\n".join(lines)

    found = measures(Script(decompose=misplace))
    assert found["decompositions that validate"] == 1.0
    assert 0.0 < found["decompositions that name the edited thing"] < 1.0


def test_the_details_of_the_truth() -> None:
    found = details(Script())
    assert all(share.value == 1.0 for share in found.verdicts.values())
    assert found.calibration["all"].error == pytest.approx(0.1, abs=1e-4)  # right always, sure at 0.9
    assert found.spearman > 0.85
    assert sum(outcome.accuracy.total for outcome in found.pairs.values()) > 0
    assert found.scaling == {}


def test_saying_yes_shows_as_precision_and_as_recall() -> None:
    found = details(Script(verify=yes)).verdicts
    gold_met = found["keep, recall of met"]
    assert gold_met.value == 1.0
    assert found["keep, precision of met"].hits == gold_met.total
    assert found["keep, precision of not met"].total == 0
    assert found["keep, recall of not met"].value == 0.0


def test_more_samples_average_an_error_out() -> None:
    """Samples are off by +4 and −4 in turn, beginning with either by candidate: two cancel out."""

    def off(text: str, sampling: SamplingDefaults) -> str:
        if sampling.temperature == 0:
            return text
        head, _, tail = text.partition("<score>")
        score = float(tail.removesuffix("</score>"))
        up = zlib.crc32(head.encode()) % 2 == sampling.seed % 2
        return f"{head}<score>{min(10.0, max(0.0, score + (4 if up else -4))):.1f}</score>"

    found = details(Script(verify=off), Drawing(samples=8, temperature=0.7)).scaling
    assert list(found) == [1, 2, 4, 8]
    assert found[1].accuracy.value < found[2].accuracy.value
    assert found[1].accuracy.total == found[8].accuracy.total


def test_samples_that_do_not_parse_are_left_out_of_the_mean() -> None:
    def every_other(text: str, sampling: SamplingDefaults) -> str:
        return text[:-1] if sampling.seed % 2 else text

    judge = InProcessJudge(Script(verify=every_other), CARD)
    edit = make_edit(SEED, 0, 4)
    (opinions,) = judge.judge([question_of(gold_edit(edit))], Drawing(samples=4, temperature=0.5))
    for opinion, candidate in zip(opinions, edit.candidates, strict=True):
        assert opinion.scores == (candidate.score, None, candidate.score, None)
        assert opinion.score() == pytest.approx(candidate.score)
        assert opinion.met == tuple(finding.met for finding in candidate.findings)


def test_a_greedy_judge_draws_once_however_many_samples_are_asked_for() -> None:
    calls = []

    def count(text: str, sampling: SamplingDefaults) -> str:
        calls.append(sampling.seed)
        return text

    judge = InProcessJudge(Script(verify=count), CARD)
    (opinions,) = judge.judge([question_of(gold_edit(make_edit(SEED, 0, 4)))], Drawing(samples=4))
    assert len(calls) == 4  # one a candidate
    assert len(opinions[0].scores) == 4


def test_a_scorer_is_measured_by_its_scores_alone() -> None:
    evaluation, judged = evaluate_on_world(ScoreOnlyJudge(Script(), CARD), seed=SEED, count=COUNT)
    shares = evaluation.shares
    assert shares["traces that parse"].value == 1.0
    assert (
        shares["pairwise accuracy, score"]
        == shares["pairwise accuracy, gold score (ceiling of the verdicts)"]
    )
    assert not any("verdict" in name and "ceiling" not in name for name in shares)
    found = details_of(judged, verdicts=False, same_zone=SAME_ZONE)
    assert (found.verdicts, found.calibration) == ({}, {})


def test_preference_pairs_are_judged_with_and_without_given_principles() -> None:
    pairs = list(shapes_pair_rows(SEED, COUNT, 4))
    judge = InProcessJudge(Script(), CARD)
    given = evaluate_pairs(judge, without_same(pairs), Path())
    bare = [pair.model_copy(update={"principles": None}) for pair in pairs]
    decomposed = evaluate_pairs(judge, without_same(bare), Path())
    assert given == decomposed
    assert given.same == sum(pair.label == "same" for pair in pairs) > 0
    assert given.overall.accuracy.value > 0.8
    assert (
        sum(outcome.accuracy.total for outcome in given.by_category.values()) == given.overall.accuracy.total
    )


def test_pairs_whose_principles_cannot_be_had_are_wrong_and_no_ties() -> None:
    pairs = [pair.model_copy(update={"principles": None}) for pair in shapes_pair_rows(SEED, 2, 4)]
    judge = InProcessJudge(Script(decompose=lambda text: "no"), CARD)
    found = evaluate_pairs(judge, without_same(pairs), Path())
    assert (found.overall.accuracy.hits, found.overall.ties.hits) == (0, 0)


def test_details_are_written_as_json_as_tables_and_as_plots(tmp_path: Path) -> None:
    found = details(Script(), Drawing(samples=2, temperature=0.7))
    assert json.loads(json.dumps(found.as_dict()))["calibration"]["all"]["ece"] == pytest.approx(
        0.1, abs=1e-3
    )
    assert "| 2 samples |" in found.markdown()
    names = {path.name for path in write_plots(found, tmp_path)}
    assert names == {"reliability.png", "pairs_by_category.png", "samples.png"}
    assert all((tmp_path / name).stat().st_size > 5000 for name in names)


@pytest.fixture
def truthful(monkeypatch: pytest.MonkeyPatch) -> InProcessJudge:
    """The judge of every command, wherever it says that one is served."""
    judge = InProcessJudge(Script(), CARD)
    monkeypatch.setattr(commands, "judge_of", lambda *_: judge)
    return judge


def numbers_of(*words: str) -> Any:
    """What a command prints with --json; bars and remarks go elsewhere."""
    ended = CliRunner().invoke(app, [*words, "--url", "http://nobody.invalid", "--json"])
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_pairs_are_measured_for_a_script(truthful: InProcessJudge, tmp_path: Path) -> None:
    pairs = write_lines(tmp_path / "pairs.jsonl", shapes_pair_rows(SEED, COUNT, 4))
    expected = evaluate_pairs(truthful, read_pairs(pairs), tmp_path).as_dict()
    assert numbers_of("evaluate-pairs", "--pairs", str(pairs)) == expected
    assert expected["overall"]["accuracy"]["n"] > 10


def test_edits_are_measured_for_a_script(truthful: InProcessJudge, tmp_path: Path) -> None:
    write_dataset(tmp_path, SEED, 2, 4)
    found = numbers_of("evaluate", "--edits", str(tmp_path), "--out", str(tmp_path / "report"))
    assert found == json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert found["measures"]["traces that parse"]["n"] == 8
