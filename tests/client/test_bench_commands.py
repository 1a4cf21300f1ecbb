"""`edit-rrm bench`: files in the published layouts through a mock service; resume, failures, bad rows."""

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from benchmark_files import (
    editscore_row,
    genai_row,
    picture,
    struct,
    tiger_pair,
    tiger_ranked,
    write_editscore,
    write_genai,
    write_tiger,
)
from PIL import Image
from typer.testing import CliRunner, Result

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer, RetryPolicy, RewardClient
from edit_rrm_client.bench import commands
from edit_rrm_client.cli import app
from guide_blocks import shown

BROKEN_SHADE = 13


class Judge:
    """A mock service whose reward is the candidate's shade; the shade 13 fails."""

    def __init__(self) -> None:
        self.server = MockRewardServer(self._rewards)

    def _rewards(self, request: ScoreRequest) -> list[float | None]:
        shades = [Image.open(BytesIO(image)).getpixel((0, 0))[0] for image in self.candidates(-1)]  # type: ignore[index]
        return [None if shade == BROKEN_SHADE else shade / 100 for shade in shades]

    def candidates(self, call: int) -> list[bytes]:
        """The images of a score call."""
        asked = [made for made in self.server.calls if made.request is not None][call]
        assert isinstance(asked.request, ScoreRequest)
        return [asked.files[candidate.part or ""] for candidate in asked.request.candidates]

    @property
    def scored(self) -> int:
        """How many candidates were asked for."""
        return sum(
            len(c.request.candidates) for c in self.server.calls if isinstance(c.request, ScoreRequest)
        )


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, judge: Judge) -> Callable[..., Result]:
    def connect(urls: Sequence[str], api_key: str | None, timeout_s: float) -> RewardClient:
        http = httpx.Client(transport=judge.server)
        return RewardClient(urls, http_client=http, retries=RetryPolicy(attempts=1), sleep=lambda s: None)

    monkeypatch.setattr(commands, "connect", connect)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["bench", *map(str, arguments)])


def lines_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return {line["name"]: line for line in json.loads(result.stdout)["lines"]}


def test_editreward_bench_prints_accuracy_beside_the_published_numbers(
    bench: Callable[..., Result], tmp_path: Path
) -> None:
    file = write_editscore(
        tmp_path / "data" / "train.parquet",
        [
            editscore_row(80, 20),
            editscore_row(20, 80, task_type="removal"),
            editscore_row(50, 50, task_type="removal"),
            editscore_row(80, 20, dimension="consistency"),
        ],
    )
    shown = bench("editreward-bench", file.parent, "--by", "score")
    assert shown.exit_code == 0
    assert "RL-RRM-7B 78.2" in shown.stdout
    assert "arXiv 2604.27505" in shown.stdout
    lines = lines_of(bench("editreward-bench", file, "--by", "score", "--json"))
    overall = lines["overall, all rows"]["accuracy"]
    assert (overall["right"], overall["total"], overall["ties"], overall["failed"]) == (1, 3, 1, 0)
    assert lines["overall, mean over 2 task types"]["share"] == 0.5
    assert lines["consistency, all rows"]["share"] == 1.0
    turned = lines_of(bench("editreward-bench", file, "--by", "score", "--preferred", "second", "--json"))
    assert turned["consistency, all rows"]["share"] == 0.0


def test_a_dimension_is_decided_by_the_principles_of_its_category(
    bench: Callable[..., Result], tmp_path: Path
) -> None:
    # the mock's one principle is of the category follow: there is nothing to decide consistency by
    rows = [editscore_row(80, 20, dimension=name) for name in ("prompt_following", "consistency")]
    file = write_editscore(tmp_path / "t.parquet", rows)
    lines = lines_of(bench("editreward-bench", file, "--json"))
    assert lines["prompt_following, all rows"]["share"] == 1.0
    consistency = lines["consistency, all rows"]["accuracy"]
    assert (consistency["total"], consistency["failed"]) == (0, 1)


def test_edited_images_are_resized_to_the_source_unless_told_otherwise(
    bench: Callable[..., Result], judge: Judge, tmp_path: Path
) -> None:
    row = editscore_row(80, 20, input_image=struct(picture(0, (10, 6))))
    file = write_editscore(tmp_path / "t.parquet", [row])
    bench("editreward-bench", file)
    assert {Image.open(BytesIO(image)).size for image in judge.candidates(-1)} == {(10, 6)}
    bench("editreward-bench", file, "--as-they-are", "--answers", "other.jsonl")
    assert judge.candidates(-1) == [picture(80), picture(20)]


def test_tiger_reads_pairs_of_groups_and_whole_rankings(bench: Callable[..., Result], tmp_path: Path) -> None:
    write_tiger(tmp_path / "2pair" / "a.parquet", [tiger_pair(80, 20, "A>B"), tiger_pair(50, 50, "A=B")])
    three = {"dataset": "3pair", "id": "9_1"}
    write_tiger(
        tmp_path / "3pair" / "a.parquet",
        [
            tiger_pair(80, 20, "A>B", "AvsB", **three),
            tiger_pair(80, 50, "A>C", "AvsC", **three),
            tiger_pair(20, 50, "C>B", "BvsC", **three),
        ],
    )
    ranked = [tiger_ranked([10, 20, 30, 40], "D>C>B>A"), tiger_ranked([10, 20, 30, 40], "D>C>A>B")]
    write_tiger(tmp_path / "4pair" / "a.parquet", ranked)
    lines = lines_of(bench("tiger", tmp_path, "--json"))
    counted = {name: (line["accuracy"]["right"], line["accuracy"]["total"]) for name, line in lines.items()}
    assert counted == {
        "K=2, ties within 0 (fitted)": (2, 2),
        "K=3, whole groups": (1, 1),
        "K=4, whole groups": (1, 2),
        "overall, all groups": (4, 5),
        "single pairs, K=2, only equal scores tie": (2, 2),
        "single pairs, K=3, only equal scores tie": (3, 3),
        "single pairs, K=4, only equal scores tie": (11, 12),
    }


def test_genai_bench_reads_the_four_votes(bench: Callable[..., Result], tmp_path: Path) -> None:
    rows = [
        genai_row(80, 20, "leftvote"),
        genai_row(80, 20, "rightvote"),
        genai_row(50, 50, "tievote"),
        genai_row(50, 50, "bothbad_vote"),
    ]
    lines = lines_of(bench("genai-bench", write_genai(tmp_path / "t.parquet", rows), "--json"))
    assert lines["all votes, only equal scores tie"]["share"] == 0.75
    assert lines["votes for one side only"]["share"] == 0.5


def test_an_image_of_many_comparisons_is_scored_once_and_a_second_run_asks_nothing(
    bench: Callable[..., Result], judge: Judge, tmp_path: Path
) -> None:
    file = write_tiger(tmp_path / "t.parquet", [tiger_ranked([10, 20, 30, 40], "D>C>B>A")])
    first = bench("tiger", file, "--json")
    assert judge.scored == 4
    assert bench("tiger", file, "--json").stdout == first.stdout
    assert judge.scored == 4


def test_a_run_that_was_killed_goes_on_and_a_torn_line_is_asked_for_again(
    bench: Callable[..., Result], judge: Judge, tmp_path: Path
) -> None:
    file = write_editscore(tmp_path / "t.parquet", [editscore_row(80, 20)])
    first = bench("editreward-bench", file, "--json")
    answers = tmp_path / "editreward-bench.answers.jsonl"
    answers.write_bytes(answers.read_bytes()[:-5])
    again = bench("editreward-bench", file, "--json")
    assert again.stdout == first.stdout
    assert judge.scored == 3


def test_a_candidate_that_failed_is_told_left_out_and_asked_for_again(
    bench: Callable[..., Result], judge: Judge, tmp_path: Path
) -> None:
    file = write_editscore(tmp_path / "t.parquet", [editscore_row(80, BROKEN_SHADE), editscore_row(80, 20)])
    result = bench("editreward-bench", file, "--json")
    assert result.exit_code == 1
    overall = json.loads(result.stdout)["lines"][1]["accuracy"]
    assert (overall["right"], overall["total"], overall["failed"]) == (1, 1, 1)
    assert "1 candidates were not scored: trace_unparseable" in result.stderr
    asked = judge.scored
    bench("editreward-bench", file)
    assert judge.scored == asked + 1


def test_answers_of_another_question_are_not_mixed_in(bench: Callable[..., Result], tmp_path: Path) -> None:
    file = write_editscore(tmp_path / "t.parquet", [editscore_row(80, 20)])
    bench("editreward-bench", file)
    refused = bench("editreward-bench", file, "--samples", "2")
    assert refused.exit_code == 2
    assert "holds answers to another question" in refused.stderr
    for notes in ("my notes\n", "my notes, without an end of line"):
        (tmp_path / "notes.txt").write_text(notes)
        assert bench("editreward-bench", file, "--answers", "notes.txt").exit_code == 2
        assert (tmp_path / "notes.txt").read_text() == notes


def test_a_service_that_is_away_ends_the_run_and_what_was_scored_is_kept(
    bench: Callable[..., Result], judge: Judge, tmp_path: Path
) -> None:
    file = write_editscore(tmp_path / "t.parquet", [editscore_row(80, 20), editscore_row(81, 21)])
    judge.server.fail(503, times=None)
    assert bench("editreward-bench", file).exit_code == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dimension": "beauty"}, "row 1: dimension: expected one of overall"),
        ({"instruction": " "}, "row 1: instruction: expected a text"),
        ({"input_image": None}, "row 1: input_image: expected an image, got nothing"),
        ({"output_images": [struct(picture(1))]}, "row 1: output_images: expected two images, got list of 1"),
        ({"key": ["a"]}, "row 1: key: expected two texts"),
        ({"output_images": [struct(b"no image"), struct(picture(1))]}, "row 1: an edited image: "),
    ],
)
def test_a_bad_row_is_named_by_file_row_and_field(
    bench: Callable[..., Result], tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    file = write_editscore(tmp_path / "t.parquet", [editscore_row(80, 20, **changes)])
    result = bench("editreward-bench", file)
    assert result.exit_code == 2
    assert f"{file}, {words}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (tiger_pair(1, 2, "A>C"), "ranking: expected an order of A and B"),
        (tiger_pair(1, 2, "A>B", "AvsA"), "comparison_type: expected two of ABCD"),
        (tiger_pair(1, 2, "A>B", dataset="9pair"), "dataset: expected 2pair"),
        (tiger_ranked([1, 2, 3], "A>B"), "ranking: expected an order of A, B, C"),
    ],
)
def test_a_bad_ranking_is_named(
    bench: Callable[..., Result], tmp_path: Path, row: dict[str, Any], words: str
) -> None:
    result = bench("tiger", write_tiger(tmp_path / "t.parquet", [row]))
    assert result.exit_code == 2
    assert f"row 1: {words}" in result.stderr


def test_a_folder_without_parquet_and_a_file_of_another_benchmark_are_told_apart(
    bench: Callable[..., Result], tmp_path: Path
) -> None:
    assert "there is no Parquet file" in bench("tiger", tmp_path).stderr
    file = write_genai(tmp_path / "t.parquet", [genai_row(1, 2, "leftvote")])
    assert "no column 'instruction'" in bench("tiger", file).stderr


def test_the_guide_s_commands_measure_the_three_benchmarks(
    bench: Callable[..., Result], tmp_path: Path
) -> None:
    write_editscore(tmp_path / "EditReward-Bench/data/train.parquet", [editscore_row(80, 20)])
    write_tiger(tmp_path / "tiger/2pair/x.parquet", [tiger_pair(80, 20, "A>B")])
    write_genai(tmp_path / "GenAI-Bench/image_edition/x.parquet", [genai_row(80, 20, "leftvote")])
    commands_shown = shown("benchmarks-public.md", 0, {"tiger EditReward-Bench/": "tiger tiger"})
    assert [words[:2] for words in commands_shown] == [["edit-rrm", "bench"]] * 3
    for _, _, *words in commands_shown:
        lines = lines_of(bench(*words, "--json"))
        assert {line["share"] for line in lines.values() if line.get("share") is not None} == {1.0}


def shades(folder: Path, *shades: int) -> list[str]:
    """Pictures of those shades as files, by their paths from the folder."""
    (folder / "images").mkdir(exist_ok=True)
    for shade in shades:
        (folder / f"images/{shade}.png").write_bytes(picture(shade))
    return [f"images/{shade}.png" for shade in shades]


def mmrb2_pair(left: str, right: str, chosen: str, *sources: str) -> dict[str, Any]:
    return {
        "pair_id": "1", "prompt_source": "emu-edit", "chosen": chosen,
        "prompt_content": [["text", "make it blue"], *(["image", source] for source in sources)],
        "response_a": {"model": "a", "response_content": [["image", left], ["text", "done"]]},
        "response_b": {"model": "b", "response_content": [["text", "done"], ["image", right]]},
    }  # fmt: skip


def test_mmrb2_reads_the_pairs_of_its_editing_task(
    bench: Callable[..., Result], judge: Judge, tmp_path: Path
) -> None:
    first, second, low, high = shades(tmp_path, 0, 1, 20, 80)
    pairs = [mmrb2_pair(high, low, "A", first), mmrb2_pair(high, low, "B", first, second)]
    (tmp_path / "edit.json").write_text(json.dumps({"pairs": pairs}))
    lines = lines_of(bench("mmrb2", tmp_path, "--json"))
    assert (lines["all pairs"]["share"], lines["emu-edit"]["accuracy"]["total"]) == (0.5, 2)
    asked = [made.request for made in judge.server.calls if isinstance(made.request, ScoreRequest)]
    assert sorted(len(request.all_sources) for request in asked) == [1, 2]


def test_compass_counts_each_dimension_and_its_ties(bench: Callable[..., Result], tmp_path: Path) -> None:
    source, low, high = shades(tmp_path, 0, 20, 80)
    row = {"source_image": source, "prompt": "make it blue", "winner": high, "loser": low}
    rows = [
        {**row, "label": "preference", "dimension": "IA"},
        {**row, "label": "tie", "dimension": "IA"},
        {**row, "winner": low, "loser": high, "label": "preference", "dimension": "VQ"},
    ]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    lines = lines_of(bench("compass", tmp_path / "pairs.json", "--by", "score", "--json"))
    assert {name: line["share"] for name, line in lines.items()} == {
        "prompt_following": 0.5, "prompt_following, preferences alone": 1.0,
        "quality": 0.0, "quality, preferences alone": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dimension": "XX"}, "dimension: expected one of IA, VC, VQ"),
        ({"label": "win"}, "label: expected one of preference, tie"),
        ({"winner": "images/none.png"}, "winner: there is no file"),
        ({"loser": "../../secret.png"}, "leaves the folder"),
        ({"source_image": None}, "source_image: expected an image's path"),
    ],
)
def test_a_row_of_json_is_named_with_its_field(
    bench: Callable[..., Result], tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    source, low, high = shades(tmp_path, 0, 20, 80)
    row = {
        "source_image": source, "prompt": "x", "winner": high, "loser": low, "label": "tie",
        "dimension": "IA",
    }  # fmt: skip
    (tmp_path / "pairs.json").write_text(json.dumps([{**row, **changes}]))
    result = bench("compass", tmp_path / "pairs.json")
    assert (result.exit_code, "row 1: " in result.stderr, words in result.stderr) == (2, True, True), (
        result.stderr
    )


def test_the_guide_s_commands_read_json_too(bench: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "MMRB2/benchmark").mkdir(parents=True)
    (tmp_path / "EditReward-Compass").mkdir()
    source, low, high = shades(tmp_path / "MMRB2/benchmark", 0, 20, 80)
    shades(tmp_path / "EditReward-Compass", 0, 20, 80)
    pairs = json.dumps({"pairs": [mmrb2_pair(high, low, "A", source)]})
    (tmp_path / "MMRB2/benchmark/edit.json").write_text(pairs)
    row = {"source_image": source, "prompt": "x", "winner": high, "loser": low}
    rows = json.dumps([{**row, "label": "preference", "dimension": "IA"}])
    (tmp_path / "EditReward-Compass/reward_eval.json").write_text(rows)
    for _, _, *words in shown("benchmarks-public.md", 1, {}):
        assert bench(*words).exit_code == 0
