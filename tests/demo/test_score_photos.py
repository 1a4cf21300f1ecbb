"""`make demo-photos`: the edits of photographs go through the commands to a table, a report and a sheet."""

import subprocess
from pathlib import Path

import pytest
from PIL import Image
from served_mock import served

import score_photos
from edit_rrm.wire import ScoreRequest
from edit_rrm_client import MockRewardServer
from guide_blocks import shown
from photo_listing import FOLDER, GOOD, listed

ROOT = Path(__file__).parents[2]


def judge(rewards: dict[str, float | None]) -> MockRewardServer:
    """A service that knows each edited file's reward."""
    by_bytes = {(FOLDER / file).read_bytes(): reward for file, reward in rewards.items()}

    def answer(request: ScoreRequest) -> list[float | None]:
        files = server.calls[-1].files
        return [by_bytes[files[candidate.part or ""]] for candidate in request.candidates]

    server = MockRewardServer(answer)
    return server


def told(printed: str) -> list[list[str]]:
    """The cells of the table of pairs."""
    lines = [line for line in printed.splitlines() if line.startswith(("│", "|")) and line.count("│") == 6]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_every_good_edit_is_counted_against_its_bad_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    rewards: dict[str, float | None] = {row.edited: 0.9 if row.model == GOOD else 0.2 for row in listed()}
    rewards["edited/coffee-blue-bad-0.jpg"] = 0.95  # a loss
    rewards["edited/china-grey-bad-0.jpg"] = 0.9  # a tie
    rewards["edited/rocket-gone-bad-2.jpg"] = None
    server = judge(rewards)
    with served(server) as url:
        assert score_photos.main(["--url", url, "--out", str(tmp_path)]) == 1
    asked = [call.request for call in server.calls if isinstance(call.request, ScoreRequest)]
    assert len(asked) == len({row.id for row in listed()})  # a call an instruction
    printed = capsys.readouterr().out
    *by_flaw, everything = told(printed)
    assert [cells[0] for cells in by_flaw] == ["collateral", "half done", "sloppy", "wrong"]
    assert sum(int(cells[1]) for cells in by_flaw) == 32
    assert everything[:4] == ["all", "32", "30.5", "1"]
    assert everything[4].startswith("0.95 (")
    assert "1 of 45 edits have no reward and enter no pair." in printed
    assert "no measure of a model" in printed


def test_the_same_command_goes_on_and_leaves_a_report_and_a_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewards: dict[str, float | None] = {row.edited: 0.9 if row.model == GOOD else 0.2 for row in listed()}
    server = judge(rewards)
    with served(server) as url:
        assert score_photos.main(["--url", url, "--out", str(tmp_path)]) == 0
        calls = len(server.calls)
        assert score_photos.main(["--url", url, "--out", str(tmp_path)]) == 0
    scored_again = [call for call in server.calls[calls:] if isinstance(call.request, ScoreRequest)]
    assert scored_again == []
    (folder,) = tmp_path.iterdir()
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "make the saucer and the outside of the cup blue" in report
    assert "<title>Edits of photographs, judged by" in report
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width == 1596


def test_the_commands_of_the_guide_score_report_and_compare_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with served(judge({row.edited: 0.9 if row.model == GOOD else 0.2 for row in listed()})) as url:
        monkeypatch.setenv("EDIT_RRM_URL", url)
        for program, *words in shown("photographs.md", 1, {"demo/photos/": f"{FOLDER}/"}):
            assert program == "edit-rrm"
            assert score_photos.edit_rrm(*words) == 0
    assert "make the cat's eyes blue" in Path("photos.html").read_text(encoding="utf-8")
    assert "│ all │ 100.0% [75.8%, 100.0%] │ 0 │ 12 │ +0.700" in " ".join(capsys.readouterr().out.split())


def test_a_stop_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(judge({})) as url:
        monkeypatch.setattr(score_photos, "edit_rrm", lambda *_: 130)
        assert score_photos.main(["--url", url, "--out", str(tmp_path)]) == 130
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_a_model_to_ask_one_line_says_what_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert score_photos.main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "edit-rrm-server serve --model" in line
    assert "make demo-photos URL=http://127.0.0.1:8000" in line
    assert score_photos.main(["--url", "http://a", "--model", "b"]) == 2
    assert "not both" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_said_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score_photos.main(["--url", "http://127.0.0.1:9", "--out", str(tmp_path)]) == 1
    assert "The demo failed:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (["URL=http://a:1"], '--url "http://a:1"'),
        (["MODEL=org/name"], '--model "org/name"'),
        ([], "demo/score_photos.py"),
    ],
)
def test_make_hands_on_what_it_is_given(given: list[str], passed: str) -> None:
    command = [
        "make",
        "--no-print-directory",
        "--dry-run",
        "--old-file=.venv/.installed",
        "demo-photos",
        *given,
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip().splitlines()[-1].rstrip().endswith(passed)
