"""The page as a file: what is in it, what can never be, and what the command says."""

import base64
import hashlib
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bulk_rows import failed_row, scored_row
from PIL import Image
from shape_results import png
from typer.testing import CliRunner

from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.rows import ResultRow, write_results
from edit_rrm_client.cli import app
from edit_rrm_client.report.build import Report, ReportSettings, write_report
from edit_rrm_client.report.page import json_text
from edit_rrm_client.report.thumbnails import Thumbnail, Thumbnails, ThumbnailSettings
from edit_rrm_client.report.titles import default_title

SMALL = ThumbnailSettings(side=64, quality=70, max_bytes=10**6)
RED, BLUE = (png(Image.new("RGB", (128, 64), colour)) for colour in ("red", "blue"))


def made(folder: Path, *rows: ResultRow, **settings: Any) -> tuple[Report, str]:
    results = folder / "r.jsonl"
    with write_results(results) as writer:
        for row in rows:
            writer.write(row)
    chosen = ReportSettings(**{"title": "t", "gallery_rows": 10, "thumbnails": SMALL, **settings})
    report = write_report(results, folder / "r.html", chosen, now=lambda: datetime(2026, 11, 24, tzinfo=UTC))
    return report, (folder / "r.html").read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_no_text_can_end_the_data_or_begin_markup(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script><!--  &lt;"
    row = scored_row("e1", instruction=hostile, model=hostile, reasoning=hostile)
    _, page = made(tmp_path, row, title=hostile)
    assert "alert(1)</script>" not in page
    assert page.count("<script") == 2  # the data and the page's own
    data = data_of(page)
    assert data["models"] == [hostile]
    assert hostile in data["texts"]
    assert json.loads(json_text(hostile)) == hostile


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_from_outside(tmp_path: Path) -> None:
    _, page = made(tmp_path, scored_row())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src &#x27;sha256-{digest}&#x27;" in policy[1]
    assert "default-src &#x27;none&#x27;" in policy[1]
    assert "unsafe" not in policy[1]
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.search(r"@import|url\(|<link|<img|src=", page.replace("img.src", ""))


def test_an_image_that_rows_share_is_in_the_page_once_and_no_larger_than_asked(tmp_path: Path) -> None:
    rows = [scored_row("e1", candidate=n, source_image=RED, edited_image=BLUE) for n in range(3)]
    report, page = made(tmp_path, *rows)
    assert report.images == 2
    image = json.loads(re.findall(r'id="image-0">(.*?)</script>', page)[0])
    assert base64.b64decode(image)[8:12] == b"WEBP"
    columns, row = data_of(page)["columns"], data_of(page)["rows"][2]
    assert (row[columns.index("source")], row[columns.index("edited")]) == (0, 1)


def test_every_source_of_an_edit_is_shown(tmp_path: Path) -> None:
    two = scored_row("e1", source_image=RED, edited_image=BLUE, source_2_image=BLUE, source_3="no.png")
    report, page = made(tmp_path, two, scored_row("e2"))
    columns, rows = data_of(page)["columns"], data_of(page)["rows"]
    assert report.images == 2
    index, note, missing, why = rows[0][columns.index("more_sources")]
    assert (index, note, missing, data_of(page)["texts"][why]) == (1, -1, -1, "the file cannot be read")
    assert rows[1][columns.index("more_sources")] == []


def test_images_lie_beside_the_results_file_and_what_is_missing_or_broken_is_said(
    tmp_path: Path,
) -> None:
    (tmp_path / "s.png").write_bytes(RED)
    thumbnails = Thumbnails(SMALL, tmp_path / "r.jsonl")
    assert thumbnails.add("s.png", None) == Thumbnail(0)
    assert thumbnails.add("no.png", None).note == "the file cannot be read"
    assert thumbnails.add("nul\0.png", None).note == "the file cannot be read"
    assert thumbnails.add(None, b"GIF89a, not").note == "unsupported_image"
    assert thumbnails.add(None, None).note == "not in the results file"


def test_images_beyond_the_budget_are_left_out_and_the_page_says_so(tmp_path: Path) -> None:
    rows = [scored_row("e1", source_image=RED, edited_image=BLUE)]
    tight = ThumbnailSettings(side=64, quality=70, max_bytes=150)
    report, page = made(tmp_path, *rows, thumbnails=tight)
    assert report.images == 1
    assert data_of(page)["notes"] == [
        "1 of 2 images were left out: thumbnails fill their budget of 0.000143 MiB (--max-image-bytes)."
    ]
    none = ThumbnailSettings(side=64, quality=70, max_bytes=None)
    assert made(tmp_path, *rows, thumbnails=none)[0].images == 0


def test_statistics_are_of_all_rows_when_the_gallery_is_cut(tmp_path: Path) -> None:
    rows = [scored_row(f"e{n}", 0.5) for n in range(4)]
    report, page = made(tmp_path, *rows, gallery_rows=3)
    data = data_of(page)
    assert (report.rows, report.shown, len(data["rows"])) == (4, 3, 3)
    assert data["summary"]["models"][0]["rows"] == 4
    assert data["notes"] == [
        "Tables and plots are of all 4 rows; the gallery shows the first 3 (--gallery-rows)."
    ]


def test_scores_of_two_reward_models_are_not_shown_without_a_warning(tmp_path: Path) -> None:
    _, page = made(tmp_path, scored_row("e1", rrm="a@1"), scored_row("e2", rrm="b@2"))
    assert data_of(page)["notes"] == ["These rows come from 2 reward models; their scores do not compare."]


def test_a_row_keeps_its_numbers_and_a_failure_has_none(tmp_path: Path) -> None:
    _, page = made(tmp_path, scored_row("e1", 0.25), failed_row("e2", "queue_full"))
    data = data_of(page)
    at = {name: place for place, name in enumerate(data["columns"])}
    scored, failed = data["rows"]
    assert (scored[at["ok"]], scored[at["reward"]], scored[at["score"]]) == (1, 0.25, 2.5)
    assert scored[at["verdicts"]][1:3] == [1, 0.9]
    assert (failed[at["ok"]], failed[at["reward"]], failed[at["score"]]) == (0, None, None)
    assert data["texts"][failed[at["error_code"]]] == "queue_full"


def test_a_guards_infinite_value_does_not_break_the_page(tmp_path: Path) -> None:
    guard = {"name": "size", "triggered": True, "value": float("inf")}
    row = ResultRow.model_validate({**scored_row().model_dump(), "guards": [guard]})
    results = tmp_path / "r.parquet"
    with write_results(results) as writer:
        writer.write(row)
    write_report(results, tmp_path / "r.html", ReportSettings("t", 10, SMALL))
    at = data_of((tmp_path / "r.html").read_text())
    assert at["rows"][0][at["columns"].index("guards")][1:] == [2, None, -1]


def test_an_empty_file_makes_an_empty_page(tmp_path: Path) -> None:
    report, page = made(tmp_path)
    assert report.rows == 0
    assert data_of(page)["rows"] == []


def test_the_command_writes_beside_the_results_and_says_what_it_wrote(tmp_path: Path) -> None:
    made(tmp_path, scored_row())
    done = CliRunner().invoke(app, ["report", str(tmp_path / "r.jsonl"), "--no-images"])
    assert done.exit_code == 0
    assert f"{tmp_path / 'r.html'}: 1 rows, 0 images" in done.stdout


@pytest.mark.parametrize("arguments", [["no.parquet"], ["r.jsonl", "-o", "no/such/folder/r.html"], ["r.txt"]])
def test_what_cannot_be_read_or_written_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    made(tmp_path, scored_row())
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["report", *arguments])
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1


def test_what_changed_is_an_overlay_of_its_own_and_no_image_of_the_count(tmp_path: Path) -> None:
    source, edited = Image.new("RGB", (64, 48), (30, 90, 30)), Image.new("RGB", (64, 48), (30, 90, 30))
    edited.paste((230, 30, 30), (8, 8, 28, 28))
    source.save(tmp_path / "a.png")
    edited.save(tmp_path / "b.png")
    thumbnails = Thumbnails(SMALL, tmp_path / "r.jsonl")
    before, after = (thumbnails.add(str(tmp_path / name), None) for name in ("a.png", "b.png"))
    change = thumbnails.change(before, after)
    assert (thumbnails.change(before, after), thumbnails.overlays) == (change, 1)
    with Image.open(io.BytesIO(base64.b64decode(thumbnails.texts[change.index]))) as overlay:
        assert overlay.convert("RGBA").getpixel((overlay.width // 4, overlay.height // 3))[3] > 100
        assert overlay.convert("RGBA").getpixel((overlay.width - 4, overlay.height - 4))[3] == 0
    assert thumbnails.change(before, Thumbnail(note="missing")) == Thumbnail()


def test_a_page_without_a_title_is_called_by_what_was_scored(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    assert default_title(results) == "r.jsonl"
    summary = tmp_path / "r.jsonl.summary.json"
    summary.write_text('{"input_name": "set/edits.jsonl", "input": 3}')
    assert default_title(results) == "set/edits.jsonl"
    summary.write_text('{"input": 3}')  # of a version that did not say
    assert default_title(results) == "r.jsonl"
    summary.write_text("[]")
    with pytest.raises(InputError, match="not the summary of a job"):
        default_title(results)
