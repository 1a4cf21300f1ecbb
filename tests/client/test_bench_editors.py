"""`edit-rrm bench gedit` and `imgedit`: tables from small results, with numbers worked out by hand."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from benchmark_files import IMAGE, picture, struct, write
from bulk_inputs import behind_httpx
from typer.testing import CliRunner, Result

from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer
from edit_rrm_client.bench.edited import read_gedit
from edit_rrm_client.bulk.rows import ResultRow, RowGuard, RowSubscore, write_results
from edit_rrm_client.cli import app

pa = pytest.importorskip("pyarrow")
Command = Callable[..., Result]


def viescore(semantics: float, quality: float) -> dict[str, float]:
    """Subscores whose smaller ones are these, of 0 to 10."""
    return {
        "prompt_following": semantics / 10, "consistency": 1.0,
        "naturalness": 1.0, "artifacts": quality / 10,
    }  # fmt: skip


def result(edit: str, subscores: Mapping[str, float] | None, reward: float = 0.5, **more: Any) -> ResultRow:
    """A row of `edit-rrm score`; without subscores it failed."""
    outcome: dict[str, Any] = {"status": "error", "error_code": "trace_unparseable"}
    if subscores is not None:
        named = tuple(RowSubscore(name=name, value=value) for name, value in subscores.items())
        outcome = {"status": "ok", "reward": reward, "score": 10 * reward, "subscores": named}
    return ResultRow(**{"key": edit, "id": edit, "model": "kontext", "instruction": "x", **outcome, **more})


def results(path: str, *rows: ResultRow) -> str:
    with write_results(path) as file:
        for number, row in enumerate(rows):
            file.write(row.model_copy(update={"key": f"{row.model}/{row.id}/{number}"}))
    return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command; beside it a GEdit-Bench of five edits and an ImgEdit-Bench of three."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    rows = [
        ("k1", "color_alter", "en", True), ("k2", "color_alter", "en", False),
        ("k3", "style_change", "en", True), ("k4", "color_alter", "cn", True),
        ("k5", "style_change", "cn", True),
    ]  # fmt: skip
    write(
        Path("data/train.parquet"),
        [
            {
                "key": key, "task_type": task, "instruction_language": language, "instruction": "x",
                "input_image": struct(picture(0)), "input_image_raw": struct(picture(0)),
                "Intersection_exist": intersection,
            }
            for key, task, language, intersection in rows
        ],
        input_image=IMAGE, input_image_raw=IMAGE, Intersection_exist=pa.bool_(),
    )  # fmt: skip
    kinds = {"1": "add", "2": "add", "3": "style"}
    edits = {key: {"id": "a.jpg", "prompt": "x", "edit_type": kind} for key, kind in kinds.items()}
    Path("edits.json").write_text(json.dumps(edits))
    return lambda *words: CliRunner().invoke(app, ["bench", *map(str, words)])


def lines_of(done: Result) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {
        (line["language"], line["split"], line["name"]): line for line in json.loads(done.stdout)["lines"]
    }


def numbers(line: Mapping[str, Any]) -> list[float]:
    return [round(value, 6) for value in line["values"].values()]


ENGLISH = (
    result("k1", viescore(4, 9), 0.2), result("k2", viescore(1, 9), 0.4), result("k3", viescore(8, 2), 0.9),
)  # fmt: skip


def test_gedit_has_each_kind_s_means_and_the_mean_over_kinds_of_each_split(bench: Command) -> None:
    done = bench("gedit", results("v.jsonl", *ENGLISH), "--edits", "data", "--json")
    assert done.exit_code == 0, done.output
    lines = lines_of(done)
    # k1: √(4·9) = 6, k2: √(1·9) = 3, k3: √(8·2) = 4
    assert numbers(lines["en", "full set", "color_alter"]) == [2.5, 9.0, 4.5]
    assert numbers(lines["en", "full set", "style_change"]) == [8.0, 2.0, 4.0]
    assert numbers(lines["en", "full set", "mean over 2 kinds"]) == [5.25, 5.5, 4.25]
    assert numbers(lines["en", "intersection", "color_alter"]) == [4.0, 9.0, 6.0]
    assert numbers(lines["en", "intersection", "mean over 2 kinds"]) == [6.0, 5.5, 5.0]
    assert {language for language, _, _ in lines} == {"en"}  # the model was asked in no other
    assert lines["en", "full set", "color_alter"]["count"] == 2


def test_gedit_s_languages_and_models_stand_apart(bench: Command) -> None:
    other = [row.model_copy(update={"model": "base"}) for row in ENGLISH]
    file = results("v.parquet", *ENGLISH, result("k4", viescore(9, 9)), result("k5", viescore(1, 1)), *other)
    shown = bench("gedit", file, "--edits", "data/train.parquet")
    assert shown.exit_code == 0, shown.output
    titles = [line.strip() for line in shown.stdout.splitlines() if line.startswith("GEdit-Bench")]
    assert titles == [
        f"GEdit-Bench, {part}"
        for part in (
            "kontext, cn, full set", "kontext, cn, intersection", "kontext, en, full set",
            "kontext, en, intersection", "base, en, full set", "base, en, intersection",
        )
    ]  # fmt: skip
    assert "│ mean over 2 kinds │ 5.000 │ 5.000 │ 5.000 │ 2 │      0 │       0 │" in shown.stdout


def test_the_reward_model_s_mean_stands_beside(bench: Command) -> None:
    rewards = [result(row.id, {}, row.reward or 0.0) for row in ENGLISH]
    words = ("gedit", results("v.jsonl", *ENGLISH), "--edits", "data", "--reward")
    lines = lines_of(bench(*words, results("r.jsonl", *rewards), "--json"))
    assert lines["en", "full set", "color_alter"]["reward"] == pytest.approx(0.3)
    assert lines["en", "full set", "mean over 2 kinds"]["reward"] == pytest.approx((0.3 + 0.9) / 2)
    assert "reward" in bench(*words, "r.jsonl").stdout
    assert "reward" not in bench(*words[:-1]).stdout
    fewer = bench(*words, results("r2.jsonl", *rewards[:1], result("k2", None)), "--json")
    assert (fewer.exit_code, lines_of(fewer)["en", "full set", "color_alter"]["rewarded"]) == (1, 1)
    assert "kontext, en, full set: 2 of 3 pictures have no reward" in fewer.stderr


def test_what_failed_or_was_not_made_is_left_out_told_and_no_number(bench: Command) -> None:
    file = results("v.jsonl", ENGLISH[0], result("k2", None))
    done = bench("gedit", file, "--edits", "data", "--json")
    assert done.exit_code == 1
    lines = lines_of(done)
    colour, style = (lines["en", "full set", name] for name in ("color_alter", "style_change"))
    assert (numbers(colour), colour["count"], colour["failed"]) == ([4.0, 9.0, 6.0], 1, 1)
    assert (list(style["values"].values()), style["missing"]) == ([None, None, None], 1)
    assert numbers(lines["en", "full set", "mean over 1 kinds"]) == [4.0, 9.0, 6.0]
    assert "kontext, en, full set: 1 pictures failed, 1 edits have none" in done.stderr


@pytest.mark.parametrize(
    ("subscores", "told"),
    [
        ({}, "its judge gave no numbers of its own; G_SC and G_PQ are of a judge with prompt_following"),
        ({"follow": 0.5, "keep": 0.5}, "its judge gave the numbers follow, keep; G_SC and G_PQ"),
    ],
)
def test_a_judge_without_these_numbers_is_refused_in_one_line(
    bench: Command, subscores: dict[str, float], told: str
) -> None:
    done = bench("gedit", results("v.jsonl", ENGLISH[0], result("k2", subscores)), "--edits", "data")
    assert done.exit_code == 2
    assert f"edit-rrm: v.jsonl, row 2: {told}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_guard_that_decided_is_named(bench: Command) -> None:
    guard = RowGuard(name="no_edit", triggered=True, value=0.0, decides=True)
    file = results("v.jsonl", result("k1", {}, 0.0, guards=(guard,)))
    assert "the guard no_edit decided, and the judge was not asked; score with --guards report" in (
        bench("gedit", file, "--edits", "data").stderr
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ((result("k9", viescore(1, 1)),), "v.jsonl, row 1: 'k9' is no edit of the benchmark"),
        ((ENGLISH[0], ENGLISH[0]), "v.jsonl, row 2: an earlier row has this picture"),
        ((), "the results hold no row"),
    ],
)
def test_rows_of_something_else_are_named(bench: Command, rows: tuple[ResultRow, ...], told: str) -> None:
    done = bench("gedit", results("v.jsonl", *rows), "--edits", "data")
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr


def test_imgedit_has_the_mean_of_three_numbers_of_each_kind(bench: Command) -> None:
    # 5, 4, 1 → 3.33; 1, 1, 1 → 1; 5, 5, 3 → 4.33, each brought to 0–1 by the service
    adds = results(
        "add.jsonl",
        result("1", {"compliance": 1.0, "seamlessness": 0.75, "fidelity": 0.0}),
        result("2", {"compliance": 0.0, "seamlessness": 0.0, "fidelity": 0.0}),
    )
    style = results("style.jsonl", result("3", {"style": 1.0, "content": 1.0, "rendering": 0.5}))
    done = bench("imgedit", adds, style, "--edits", "edits.json", "--json")
    assert done.exit_code == 0, done.output
    lines = lines_of(done)
    assert numbers(lines["", "", "add"]) == [2.165]  # (3.33 + 1) / 2
    assert numbers(lines["", "", "style"]) == [4.33]
    assert numbers(lines["", "", "mean over 2 kinds"]) == [3.2475]
    assert [name for _, _, name in lines] == ["add", "style", "mean over 2 kinds"]
    assert "give three numbers, a judge for each kind" in (
        bench("imgedit", results("v.jsonl", result("1", viescore(1, 1))), "--edits", "edits.json").stderr
    )


def judging(numbers: Mapping[str, Mapping[str, float]]) -> httpx.MockTransport:
    """A service whose judge gives each instruction's picture these subscores; guards only report."""

    def decide(request: ScoreRequest) -> list[float | None]:
        assert request.guards == "report"
        return [0.5] * len(request.candidates)

    server = MockRewardServer(decide)

    def answer(request: httpx.Request) -> httpx.Response:
        answered = server.handle_request(request)
        body = json.loads(answered.content)
        for candidate in body.get("results", ()):
            asked = server.calls[-1].request
            assert isinstance(asked, ScoreRequest)
            candidate |= {"verdicts": [], "subscores": numbers[asked.instruction]}
        return httpx.Response(answered.status_code, json=body)

    return httpx.MockTransport(answer)


def test_a_list_that_a_served_judge_scores_becomes_the_table(
    bench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("p.png").write_bytes(picture(1))
    rows = [
        {"id": key, "model": "kontext", "instruction": f"do {key}", "source": "p.png", "edited": "p.png"}
        for key in ("k1", "k2", "k3")
    ]
    Path("edits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"do k1": viescore(4, 9), "do k2": viescore(1, 9), "do k3": viescore(8, 2)}
    behind_httpx(monkeypatch, judging(given))
    scored = CliRunner().invoke(app, ["score", "edits.jsonl", "-o", "v.parquet", "--guards", "report"])
    assert scored.exit_code == 0, scored.output
    lines = lines_of(bench("gedit", "v.parquet", "--edits", "data", "--json"))
    assert numbers(lines["en", "full set", "mean over 2 kinds"]) == [5.25, 5.5, 4.25]


def test_a_table_of_text_says_which_edits_all_systems_carry_out(tmp_path: Path) -> None:
    """`bool` of a cell that says False is true."""
    file = tmp_path / "gedit.csv"
    file.write_text(
        "key,task_type,instruction_language,instruction,Intersection_exist\n"
        "a,style_change,en,paint it,True\nb,style_change,en,paint it,False\n"
    )
    assert [edit.intersection for edit in read_gedit(file).values()] == [True, False]
