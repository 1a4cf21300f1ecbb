"""The report of the demo's photographs, in a browser: pictures by path, the slider, filters by words."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bulk_rows import scored_row
from playwright.sync_api import Browser, expect
from report_browser import Opened, open_file, write_page

from browsing import out_of_sight
from edit_rrm.principles import Category
from edit_rrm_client.bulk.rows import ResultRow, RowVerdict

pytestmark = pytest.mark.slow

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
EDITS = ("chelsea-eyes", "rocket-gone")


def rows() -> Iterator[ResultRow]:
    """Scored as a person would: the good edit follows and keeps, a bad one fails where its flaw lies."""
    for line in (PHOTOS / "edits.jsonl").read_text(encoding="utf-8").splitlines():
        listed = json.loads(line)
        if listed["id"] not in EDITS:
            continue
        flaw = listed.get("flaw", "")
        met = {
            Category.FOLLOW: flaw not in ("wrong", "half done"),
            Category.KEEP: flaw != "collateral",
            Category.QUALITY: flaw != "sloppy",
        }
        verdicts = tuple(
            RowVerdict(
                principle=kind.value, question=f"{kind.value}: {listed['instruction']}?", category=kind,
                weight=1.0, met=met[kind], probability=0.9, evidence=listed.get("seen", "as asked"),
            )
            for kind in met
        )  # fmt: skip
        yield scored_row(
            listed["id"], sum(met.values()) / 3, key="{id}/{model}/{candidate}".format_map(listed),
            model=listed["model"], candidate=listed["candidate"], category=listed["category"],
            instruction=listed["instruction"], source=str(PHOTOS / listed["source"]),
            edited=str(PHOTOS / listed["edited"]), verdicts=verdicts,
        )  # fmt: skip


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("photographs"), rows())


@pytest.fixture
def report(browser: Browser, report_file: Path) -> Iterator[Opened]:
    opened = open_file(browser, report_file, viewport={"width": 1280, "height": 900})
    yield opened
    assert opened.errors == []
    opened.page.close()


def test_photographs_are_in_the_file_in_their_shape(report: Opened, report_file: Path) -> None:
    page = report.page
    assert len(report.keys()) == 8
    page.wait_for_function("[...document.images].every(image => image.naturalWidth)")
    source = page.locator("[data-key='chelsea-eyes/good/0'] .pictures img").first
    assert source.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [192, 128]  # 451 x 300
    assert report_file.stat().st_size < 600_000
    assert str(PHOTOS / "sources") not in report_file.read_text(encoding="utf-8")


def test_bad_edits_are_found_by_the_words_of_what_is_wrong(report: Opened) -> None:
    report.choose("principle", "follow: remove the rocket")
    report.choose("principle_met", "0")
    assert report.keys() == ["rocket-gone/bad/0", "rocket-gone/bad/2"]
    report.page.get_by_role("button", name="Clear all").first.click()
    report.choose("q", "only one eye")
    assert report.keys() == ["chelsea-eyes/bad/0"]


def test_good_edits_lead_in_the_tables(report: Opened) -> None:
    names = report.page.locator("#models-table tbody th").all_inner_texts()
    assert names == ["good", "bad", "All models"]


def test_the_slider_shows_a_photograph_before_and_after(report: Opened) -> None:
    page = report.page
    page.locator("[data-key='rocket-gone/good/0'] .pictures").click()
    before, after = (page.locator(f".layer.{layer} img") for layer in ("before", "after"))
    shape = "async image => { await image.decode(); return image.naturalWidth / image.naturalHeight; }"
    for image in (before, after):
        assert image.evaluate(shape) == pytest.approx(512 / 342, rel=0.01)
    assert before.bounding_box() == after.bounding_box()
    frame = page.locator(".compare-frame").bounding_box()
    assert frame is not None
    assert frame["width"] / frame["height"] == pytest.approx(512 / 342, rel=0.02)
    slider = page.locator(".compare input").bounding_box()
    assert slider is not None
    assert (slider["x"], slider["width"]) == pytest.approx((frame["x"], frame["width"]), abs=4)
    close = page.get_by_role("button", name="Close")
    assert out_of_sight(page, slider=page.locator(".compare"), close=close) == []
    page.get_by_role("button", name="Show what changed").click()
    expect(page.locator(".layer.change img")).to_be_visible()
