"""compare and best-of on rows whose answers can be worked out by hand, and as commands."""

import json
from pathlib import Path

import pytest
from bulk_rows import failed_row, scored_row
from PIL import Image
from typer.testing import CliRunner

from edit_rrm_client import cli
from edit_rrm_client.bulk.best_of import best_of
from edit_rrm_client.bulk.comparison import compare_sides, side_of
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.rows import ResultRow, read_results, write_results

A = [
    scored_row("e1", 0.5, category="colour", follow=1.0, keep=0.5),
    scored_row("e2", 0.25, category="removal", follow=0.0),
    scored_row("e3", 0.75, category="colour", follow=1.0),
    failed_row("e4"),
    scored_row("e5", 1.0),
]
B = [
    scored_row("e1", 0.5, candidate=0, follow=0.5, keep=1.0),  # with the next: 0.75 on the mean
    scored_row("e1", 1.0, candidate=1, follow=0.5, keep=1.0),
    failed_row("e1", candidate=2),
    scored_row("e2", 0.25, follow=0.0),
    scored_row("e3", 0.25, follow=1.0),
    scored_row("e4", 1.0),
]


def written(path: Path, rows: list[ResultRow]) -> str:
    with write_results(path) as writer:
        for row in rows:
            writer.write(row)
    return str(path)


def test_sides_are_compared_on_the_edits_that_both_scored() -> None:
    found = compare_sides(side_of(A, "a", None), side_of(B, "b", None))
    assert (found.win_rate.wins, found.win_rate.ties, found.win_rate.losses) == (1, 1, 1)
    assert found.win_rate.rate == 0.5
    assert found.difference.value == pytest.approx((0.25 + 0.0 - 0.5) / 3)
    assert found.left_out == 2  # e4 failed for A, e5 is not in B
    assert (found.failed_a, found.failed_b) == (1, 1)
    colour = found.by_category["colour"]
    assert (colour[0].wins, colour[0].losses, colour[1].value) == (1, 1, -0.125)
    assert found.by_aspect["follow"].value == pytest.approx(-0.5 / 3)
    assert (found.by_aspect["keep"].value, found.by_aspect["keep"].n) == (0.5, 1)
    assert "quality" not in found.by_aspect
    assert [(edit.id, edit.difference) for edit in found.most_different] == [("e3", -0.5), ("e1", 0.25)]


def test_a_failure_is_left_out_and_never_a_zero() -> None:
    found = compare_sides(side_of(A, "a", None), side_of([*B[:5], failed_row("e5")], "b", None))
    assert found.win_rate.n == 3


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ([scored_row("e1", rrm="other@ffffffffffff")], "different reward models"),
        ([scored_row("e1", instruction="another")], "different instructions"),
        ([scored_row("e9")], "no edit is scored by both"),
    ],
)
def test_what_does_not_compare_is_refused(other: list[ResultRow], words: str) -> None:
    with pytest.raises(InputError, match=words):
        compare_sides(side_of(A, "a", None), side_of(other, "b", None))


def test_an_editor_without_rows_is_refused_and_the_others_named() -> None:
    with pytest.raises(InputError, match="editors there: 'flux'"):
        side_of(A, "a", "kontext")


def test_compare_two_editors_of_one_file(tmp_path: Path) -> None:
    rows = [scored_row("e1", 0.25), scored_row("e1", 0.75, model="kontext")]
    path = written(tmp_path / "r.parquet", rows)
    runner = CliRunner(env={"COLUMNS": "160"})
    result = runner.invoke(cli.app, ["compare", path, "--model-a", "flux", "--model-b", "kontext", "--json"])
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert shown["win_rate"]["wins"] == 1
    assert shown["difference"]["value"] == 0.5
    table = runner.invoke(cli.app, ["compare", path, "--model-a", "flux", "--model-b", "kontext"]).stdout
    for words in (
        "kontext beats flux",
        "100.0% [20.7%, 100.0%]",
        "+0.500 [+0.500, +0.500]",
        "ties count half",
    ):
        assert words in table
    alone = runner.invoke(cli.app, ["compare", path])
    assert alone.exit_code == 2
    assert "--model-a and --model-b" in alone.stderr


CANDIDATES = [
    scored_row("e1", 0.25, candidate=0),
    scored_row("e1", 0.75, candidate=1),
    scored_row("e1", 0.75, candidate=2),
    scored_row("e1", 1.0, candidate=3),
    scored_row("e2", 0.5, candidate=1),
    failed_row("e2", candidate=0),
    failed_row("e3", candidate=0),
]


def test_pictures_of_another_size_and_limited_rewards_are_told(tmp_path: Path) -> None:
    rows = []
    for model, size in (("a", (64, 64)), ("b", (64, 80))):
        for number in range(3):
            Image.new("RGB", (64, 64) if number == 2 else size).save(tmp_path / f"{model}{number}.png")
            row = scored_row(f"e{number}", 0.5, model=model).model_dump()
            guards = [{"name": "size", "triggered": True, "value": 0.25, "decides": model == "b"}]
            rows.append(ResultRow.model_validate({**row, "edited": f"{model}{number}.png", "guards": guards}))
    one = written(tmp_path / "one.jsonl", rows)
    words = ["compare", one, "--model-a", "a", "--model-b", "b"]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, words).stdout
    assert "differ in size in 2 of 3 edits (such as 64 × 64 and 64 × 80)" in shown
    assert "rewards that a guard limited: b: size 3" in shown
    found = json.loads(CliRunner().invoke(cli.app, [*words, "--json"]).stdout)
    assert (found["sizes_differ"], found["limited_a"], found["limited_b"]) == (2, {}, {"size": 3})


def test_the_best_of_the_first_n_is_chosen_and_the_first_of_equals() -> None:
    found = best_of(CANDIDATES, 3)
    assert found.chosen == {"e1/flux/1", "e2/flux/1"}
    assert found.without == 1
    [curve] = found.curves
    assert (curve.edits, curve.left_out) == (1, 2)
    # over all four: mean 0.6875; three of six pairs have 1.0, three 0.75; three of four triples 1.0
    assert [(n, mean.value) for n, mean in curve.points] == [(1, 0.6875), (2, 0.875), (3, 0.9375)]


def test_best_of_writes_the_chosen_rows(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", CANDIDATES)
    out = tmp_path / "best.parquet"
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli.app, ["best-of", path, "-n", "2", "-o", str(out)])
    assert result.exit_code == 0
    assert [row.key for row in read_results(out)] == ["e1/flux/1", "e2/flux/1"]
    assert "1 edits have no scored candidate" in result.stdout


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    evil = "[red]\x1b[31mx"
    rows = [scored_row("e1", 0.2, instruction="[/]"), scored_row("e1", 0.4, model=evil, instruction="[/]")]
    path = written(tmp_path / "r.jsonl", rows)
    arguments = ["compare", path, "--model-a", "flux", "--model-b", evil]
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli.app, arguments)
    assert result.exit_code == 0
    assert "[red] [31mx beats flux" in result.stdout
    assert "\x1b[31m" not in result.stdout
