"""The report in a browser: what a person sees, finds and presses, and what no text in the data can do.

The browser lives as long as this module: Playwright's event loop would be in the way of asyncio tests.
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from bulk_rows import failed_row, scored_row
from PIL import Image
from playwright.sync_api import Browser, expect
from report_browser import Opened, open_file, write_page
from shape_results import png, shape_rows

from browsing import out_of_sight
from edit_rrm.principles import Category
from edit_rrm_client.bulk.rows import ResultRow, RowGuard, RowSubscore, RowVerdict
from edit_rrm_client.report.page import assemble
from edit_rrm_client.report.records import Records
from edit_rrm_client.report.statistics import Statistics
from edit_rrm_client.report.thumbnails import Thumbnail, Thumbnails, ThumbnailSettings

pytestmark = pytest.mark.slow

PHONE = {"width": 390, "height": 844}


def verdict(category: Category, met: bool, question: str = "Is it so?") -> RowVerdict:
    return RowVerdict(
        principle="p1",
        question=question,
        category=category,
        weight=1.0,
        met=met,
        probability=0.9,
        evidence="seen",
    )


FOLLOW, KEEP, QUALITY = Category.FOLLOW, Category.KEEP, Category.QUALITY
RED, BLUE = (png(Image.new("RGB", (96, 96), colour)) for colour in ("red", "blue"))
ROWS = [
    scored_row("e1", 0.9, key="a", model="flux", category="colour", source_image=RED, edited_image=BLUE,
               reasoning="1. blue", verdicts=(verdict(FOLLOW, True), verdict(KEEP, True))),
    scored_row("e1", 0.2, key="b", model="bagel", category="colour", candidate=1, disagreement=1.5,
               verdicts=(verdict(FOLLOW, False), verdict(KEEP, True))),
    scored_row("e2", 0.5, key="c", model="flux", category="removal", instruction="remove the dog",
               verdicts=(verdict(KEEP, False, "Is the Lawn the same?"),)),
    failed_row("e2", key="d", model="bagel", category="removal", instruction="remove the dog"),
    scored_row("e3", 0.0, key="e", model="flux", category="removal", verdicts=(),
               guards=(RowGuard(name="no_edit", triggered=True, value=0.01),)),
]  # fmt: skip


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("report"), ROWS)


@pytest.fixture
def report(browser: Browser, report_file: Path) -> Iterator[Opened]:
    opened = open_file(browser, report_file)
    yield opened
    assert opened.errors == []
    opened.page.close()


def test_the_page_opens_without_an_error_and_asks_nobody_for_anything(
    report: Opened, report_file: Path
) -> None:
    assert report.keys() == ["a", "b", "c", "d", "e"]
    report.page.wait_for_function(
        "[...document.images].length === 4 && [...document.images].every(i => i.naturalWidth)"
    )
    assert {url for url in report.requests if not url.startswith("data:")} == {report_file.as_uri()}


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({"model": "1"}, ["b", "d"]),
        ({"category": "1"}, ["c", "d", "e"]),
        ({"verdicts": "follow"}, ["b"]),
        ({"verdicts": "keep"}, ["c"]),
        ({"verdicts": "quality"}, []),
        ({"verdicts": "missed"}, ["b", "c"]),
        ({"verdicts": "met"}, ["a"]),
        ({"outcome": "ok"}, ["a", "b", "c", "e"]),
        ({"outcome": "error"}, ["d"]),
        ({"outcome": "guard"}, ["e"]),
        ({"score_min": "5"}, ["a", "c"]),
        ({"score_max": "2"}, ["b", "e"]),
        ({"reward_min": "0.5", "reward_max": "0.6"}, ["c"]),
        ({"disagreement_min": "1"}, ["b"]),
        ({"q": "the lawn"}, ["c"]),
        ({"q": "DOG remove"}, ["c", "d"]),
        ({"q": "trace_unparseable"}, ["d"]),
        ({"principle": "is the LAWN"}, ["c"]),
        ({"principle": "so it"}, ["a", "b"]),
        ({"principle": "it so", "principle_met": "0"}, ["b"]),
        ({"principle": "lawn", "principle_met": "1"}, []),
        ({"principle_met": "0"}, ["a", "b", "c", "d", "e"]),
        ({"model": "0", "category": "1", "outcome": "ok"}, ["c", "e"]),
        ({"sort": "score"}, ["e", "b", "c", "a", "d"]),
        ({"sort": "-reward"}, ["a", "c", "b", "e", "d"]),
        ({"sort": "-disagreement"}, ["b", "a", "c", "e", "d"]),
        ({"sort": "edit", "category": "0"}, ["a", "b"]),
    ],
)
def test_filters_and_orders_show_exactly_these_edits(
    report: Opened, filters: dict[str, str], keys: list[str]
) -> None:
    for name, value in filters.items():
        report.choose(name, value)
    assert report.keys() == keys
    assert report.page.locator("#count").inner_text().startswith(f"{len(keys)} of 5 rows")


def test_an_edit_of_several_sources_shows_all_of_them(browser: Browser, tmp_path: Path) -> None:
    two = scored_row("e1", source_image=RED, source_2_image=BLUE, edited_image=BLUE)
    opened = open_file(browser, write_page(tmp_path, [two]))
    shown = opened.page.locator(".card .pictures")
    assert shown.locator("figcaption").all_inner_texts() == ["source 1", "source 2", "edited"]
    assert len({shown.locator("figure").nth(place).bounding_box()["y"] for place in range(3)}) == 1  # type: ignore[index]
    shown.click()
    assert opened.page.get_by_label("Compare with").locator("option").all_inner_texts() == [
        "source 1",
        "source 2",
    ]
    opened.page.get_by_label("Compare with").select_option("1")
    expect(opened.page.locator(".layer.before img")).to_have_attribute("alt", "source 2")
    assert opened.errors == []
    opened.page.close()


def test_the_numbers_of_a_judge_without_verdicts_are_shown(browser: Browser, tmp_path: Path) -> None:
    numbers = (RowSubscore(name="success", value=0.8), RowSubscore(name="looks", value=0.5))
    opened = open_file(browser, write_page(tmp_path, [scored_row("e1", verdicts=(), subscores=numbers)]))
    card = opened.page.locator(".card")
    assert card.locator(".subscores div").all_inner_texts() == ["success\n0.80", "looks\n0.50"]
    assert "A guard decided" not in card.inner_text()
    assert opened.errors == []
    opened.page.close()


def test_a_link_restores_the_view_and_clear_forgets_it(
    browser: Browser, report: Opened, report_file: Path
) -> None:
    report.choose("model", "0")
    report.choose("sort", "score")
    address = report.page.locator("#link").get_attribute("href") or ""
    assert report.page.url.endswith(address)
    again = open_file(browser, report_file, address)
    assert again.keys() == ["e", "c", "a"]
    again.page.get_by_role("button", name="Clear all").click()
    assert again.keys() == ["a", "b", "c", "d", "e"]
    again.page.close()
    foreign = open_file(browser, report_file, "#nonsense=1&page=99&model=77&sort=nothing")
    assert (foreign.errors, foreign.keys()) == ([], ["a", "b", "c", "d", "e"])
    foreign.page.close()


def test_a_mean_in_the_tables_leads_to_its_edits(report: Opened) -> None:
    report.page.locator("#categories-table").get_by_role("button", name="0.250").click()
    assert report.keys() == ["c", "e"]
    report.page.locator("#failures-table").get_by_role("button", name="1").first.click()
    assert report.keys() == ["d"]


def test_an_edits_name_leads_to_all_its_candidates(report: Opened) -> None:
    report.page.get_by_role("button", name="e1 #1").click()
    assert report.keys() == ["a", "b"]
    report.page.get_by_role("button", name="Show all edits").click()
    assert len(report.keys()) == 5


def test_verdicts_are_told_in_words_reasoning_opens_and_a_failure_shows_its_code(report: Opened) -> None:
    card = report.page.locator("[data-key=b]")
    assert [item.text_content() for item in card.locator(".verdicts li").all()] == [
        "✗followIs it so?: not metprobability of met 90 %seen",
        "✓keepIs it so?: metprobability of met 90 %seen",
    ]
    reasoning = report.page.locator("[data-key=a] pre")
    assert not reasoning.is_visible()
    report.page.locator("[data-key=a] summary").click()
    assert reasoning.inner_text() == "1. blue"
    assert report.page.locator("[data-key=d] .error").inner_text() == "trace_unparseable why"
    assert "no_edit limits the reward" in report.page.locator("[data-key=e] .guards").last.inner_text()


def test_pictures_are_compared_in_a_dialog_that_escape_closes(report: Opened) -> None:
    page = report.page
    page.locator("[data-key=a] .pictures").click()
    viewer = page.locator("#viewer")
    assert viewer.is_visible()
    frame = page.locator(".compare-frame").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] / 4, frame["y"] + frame["height"] / 2)
    page.mouse.up()
    line = page.locator(".cut").bounding_box()
    assert line is not None
    assert line["x"] + 1 == pytest.approx(frame["x"] + frame["width"] / 4, abs=1)
    page.mouse.wheel(0, -100)
    expect(page.locator(".compare output")).to_have_text("125 %")
    page.get_by_role("button", name="Fit the frame").click()
    expect(page.locator(".compare output")).to_have_text("100 %")
    page.get_by_role("button", name="Show what changed").click()
    overlay = page.locator(".layer.change img")
    assert overlay.evaluate("async image => { await image.decode(); return image.naturalWidth; }") == 96
    page.keyboard.press("Escape")
    assert not viewer.is_visible()


def test_the_verdicts_of_the_principle_that_is_looked_for_stand_out(report: Opened) -> None:
    report.choose("principle", "lawn")
    assert report.page.locator(".verdicts .sought").all_inner_texts()[0].count("Is the Lawn the same?") == 1
    report.choose("principle", "")
    assert report.page.locator(".verdicts .sought").count() == 0


def test_the_questions_asked_of_the_most_rows_are_offered(report: Opened) -> None:
    offered = report.page.locator("#questions option")
    assert [option.get_attribute("value") for option in offered.all()] == [
        "Is it so?",
        "Is the Lawn the same?",
    ]


def test_the_keyboard_alone_reaches_the_edits_and_every_control_has_a_name(report: Opened) -> None:
    page = report.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the edits"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("dog")
    assert report.keys() == ["c", "d"]
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]), select, button, [role=img]")]
          .filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim()))
          .map(e => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_4_5_to_1_in_light_and_dark(
    browser: Browser, report_file: Path, scheme: str
) -> None:
    opened = open_file(browser, report_file, color_scheme=scheme)
    contrasts = opened.page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const light = (name) => {
            const [r, g, b] = [...style.getPropertyValue(name).trim().replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3")
              .matchAll(/[0-9a-f]{2}/gi)].map(part => parseInt(part, 16) / 255)
              .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b;
          };
          const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
          const inks = ["ink", "faded", "accent", "met", "missed", "follow", "keep", "quality"];
          const pairs = inks.flatMap(ink => [[ink, "paper"], [ink, "card"]]);
          pairs.push(["warn", "warn-paper"], ["faded", "soft"]);
          return pairs.map(([a, b]) => [a, b, ratio("--" + a, "--" + b)]);
        }"""
    )
    assert [pair for pair in contrasts if pair[2] < 4.5] == []
    opened.page.close()


def test_a_phone_scrolls_tables_but_never_the_page_sideways(browser: Browser, report_file: Path) -> None:
    opened = open_file(browser, report_file, viewport=PHONE)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.page.locator(".card").first.bounding_box()["width"] > 340  # type: ignore[index]
    opened.page.locator("[data-key=a] .pictures").click()
    close = opened.page.get_by_role("button", name="Close")
    assert out_of_sight(opened.page, slider=opened.page.locator(".compare"), close=close) == []
    opened.page.close()


HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1><b>x</b>&lt;"


def hostile_row() -> ResultRow:
    return scored_row(
        "e1",
        key=HOSTILE,
        id=HOSTILE,
        model=HOSTILE,
        category=HOSTILE,
        instruction=HOSTILE,
        reasoning=HOSTILE,
        rrm=HOSTILE,
        verdicts=(
            RowVerdict(
                principle=HOSTILE, question=HOSTILE, category=FOLLOW, weight=1, met=True,
                probability=None, evidence=HOSTILE,
            ),
        ),
        guards=(RowGuard(name=HOSTILE, triggered=True, value=1),),
    )  # fmt: skip


def test_texts_of_the_data_are_shown_and_never_become_markup_or_script(
    browser: Browser, tmp_path: Path
) -> None:
    rows = [hostile_row(), failed_row("e2", HOSTILE, error_detail=HOSTILE, category="other")]
    opened = open_file(browser, write_page(tmp_path, rows, title=HOSTILE))
    page = opened.page
    assert page.title() == HOSTILE
    for place in ("#title", ".card h3", ".verdicts .evidence", ".error strong", "#models-table th button"):
        assert page.locator(place).first.text_content() == HOSTILE
    assert page.locator("b").count() == 0
    assert page.locator("img").count() == 0
    assert page.evaluate("window.pwned") is None
    assert opened.errors == []
    page.close()


def test_even_markup_that_came_in_could_run_nothing_and_load_nothing(
    browser: Browser, report_file: Path
) -> None:
    opened = open_file(browser, report_file)
    blocked = opened.page.evaluate(
        """() => new Promise(done => {
          const seen = new Set();
          document.addEventListener("securitypolicyviolation", event => {
            seen.add(event.effectiveDirective);
            if (seen.has("img-src") && seen.has("script-src-attr")) done([...seen].sort());
          });
          const holder = document.createElement("div");
          holder.innerHTML = '<img src="https://example.invalid/x.png"><p onclick="window.pwned=1">x</p>';
          document.body.append(holder);
          holder.querySelector("p").click();
        })"""
    )
    assert blocked == ["img-src", "script-src-attr"]
    assert opened.page.evaluate("window.pwned") is None
    opened.page.close()


def test_many_edits_come_in_pages(browser: Browser, tmp_path: Path) -> None:
    rows = [scored_row(f"e{n:02}", n / 100, key=f"k{n:02}") for n in range(60)]
    opened = open_file(browser, write_page(tmp_path, rows))
    assert opened.keys()[0] == "k00"
    assert len(opened.keys()) == 24
    opened.page.get_by_role("button", name="Last").first.click()
    assert opened.keys() == [f"k{n}" for n in range(48, 60)]
    assert "page=3" in opened.page.url
    opened.choose("score_min", "1")
    assert opened.keys()[0] == "k10"  # a new filter begins on the first page
    opened.page.close()


def five_thousand_rows(folder: Path) -> Path:
    """A page of 5,000 rows and 6,250 images that fill the default budget of 64 MiB.

    100 rows of the shapes world, 50 times under other names, each image padded to the size of a photograph's
    thumbnail.
    """
    thumbnails = Thumbnails(ThumbnailSettings(192, 70, 2**30), folder / "none")
    rows = list(shape_rows(25))
    pictures = [
        (thumbnails.add(None, row.source_image).index, thumbnails.add(None, row.edited_image).index)
        for row in rows
    ]
    budget_bytes = 64 * 2**20 // (50 * len(thumbnails.texts)) * 3 // 4
    texts = [b64encode(b64decode(text).ljust(budget_bytes, b"\0")).decode() for text in thumbnails.texts]
    records, statistics = Records(), Statistics()
    for turn in range(50):
        for row, (source, edited) in zip(rows, pictures, strict=True):
            renamed = row.model_copy(update={"key": f"{turn}/{row.key}", "id": f"{turn}/{row.id}"})
            statistics.add(renamed)
            first = turn * len(texts)
            records.add(renamed, Thumbnail(first + source), Thumbnail(first + edited))
    data = records.data("Five thousand", "", [], statistics.summary())
    with (folder / "large.html").open("w", encoding="utf-8") as file:
        file.writelines(assemble("Five thousand", data, texts * 50))
    return folder / "large.html"


# How many times slower than the machine that the limits below are for, at this moment: it sorts in 120 ms.
SLOWER = """() => {
  const started = performance.now();
  Array.from({length: 300000}, (_, index) => (index * 7919) % 1000003).sort((a, b) => a - b);
  return Math.max(1, (performance.now() - started) / 120);
}"""


def test_5000_rows_open_within_3_s_and_every_filter_answers_within_200_ms(
    browser: Browser, tmp_path: Path
) -> None:
    """In the machine's own measure, taken beside every turn: it may be slow, or busy now. `-s` prints it."""
    path = five_thousand_rows(tmp_path)
    opening_s = []
    for turn in range(3):
        started_s = time.perf_counter()
        opened = open_file(browser, path)
        opened.page.locator(".card").first.wait_for()
        elapsed_s = time.perf_counter() - started_s
        opening_s.append(elapsed_s / opened.page.evaluate(SLOWER))
        if turn < 2:
            opened.page.close()
    times_ms = opened.page.evaluate(
        """(slower) => {
          const form = document.getElementById("filters");
          const views = {q: "circle", model: "1", verdicts: "keep", score_min: "5", sort: "-disagreement"};
          const times = {}, slowerNow = eval(slower);
          for (const [name, value] of Object.entries(views)) {
            times[name] = Infinity;
            for (let turn = 0; turn < 5; turn += 1) {
              form.elements[name].value = "";
              form.dispatchEvent(new Event("input"));
              document.body.offsetHeight;
              const factor = slowerNow();
              const started = performance.now();
              form.elements[name].value = value;
              form.dispatchEvent(new Event("input"));
              document.body.offsetHeight;  // layout included
              times[name] = Math.min(times[name], (performance.now() - started) / factor);
            }
            form.elements[name].value = "";
          }
          return times;
        }""",
        SLOWER,
    )
    size_mib = path.stat().st_size / 2**20
    print(f"\n{size_mib:.1f} MiB, opened in {min(opening_s):.2f} s, filters in ms: {times_ms}")
    assert opened.errors == []
    assert opened.page.locator("#count").inner_text().startswith("5,000 of 5,000 rows")
    assert min(opening_s) < 3.0
    assert [name for name, elapsed_ms in times_ms.items() if elapsed_ms >= 200] == []
    opened.page.close()
