"""The page in a browser, before a scripted service: what is seen at once, the slider, files that are refused,
and the session's history."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live_service import LiveService
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from scripted_engine import Asked, ScriptedEngine, trace, well_behaved
from small_calls import BLUE, RED, picture, png

from browsing import LARGER_PHONE, Visit, out_of_sight, visiting
from edit_rrm.checkpoint import RRMCard

pytestmark = pytest.mark.slow

JUDGES = "Judges circles and nothing else."
CARD = RRMCard(name="scripted", profile="trained", trace_format="1", max_image_side=64, judges=JUDGES)
GREEN, BLACK = Image.new("RGB", (48, 48), (30, 220, 30)), Image.new("RGB", (48, 48))
TEXT_AS_PICTURE = {"name": "x.png", "type": "image/png", "sample": None, "expect": None, "base64": "aGVsbG8="}


@contextmanager
def opened(
    browser: Browser,
    script: Callable[[Asked], str] = well_behaved,
    size: tuple[int, int] = (1280, 900),
    **settings: Any,
) -> Iterator[Visit]:
    """The page of a service of its own, ready; in the end nothing was complained of or asked of others."""
    with (
        LiveService(ScriptedEngine(script), card=CARD, **settings) as live,
        visiting(browser, live.url, size) as visit,
    ):
        expect(visit.open().locator("#model-judges")).to_have_text(JUDGES)
        yield visit
        assert visit.left_the_origin == []


def file(name: str, content: bytes, kind: str = "image/png") -> Any:
    """A file to be chosen."""
    return {"name": name, "mimeType": kind, "buffer": content}


def score(page: Page, candidates: int = 1, instruction: str = "make the red circle blue") -> None:
    """Chooses, presses *Score*, waits for the answer."""
    page.get_by_label("Choose the source").set_input_files(file("red.png", RED))
    page.get_by_label("Choose edited images").set_input_files(
        [file(f"blue{n}.png", BLUE) for n in range(candidates)]
    )
    page.get_by_label("Instruction").fill(instruction)
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator("#progress")).to_contain_text("See the results")


def encoded(*frames: Image.Image, form: str = "PNG") -> bytes:
    """A picture file, animated where there are several frames."""
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    frames[0].save(buffer, form, **more)
    return buffer.getvalue()


def middle_of(page: Page, selector: str) -> tuple[float, float, float, float]:
    """Middle, width and height of what is drawn of an element, in pixels of the window."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"], box["height"]


def test_what_is_asked_and_what_is_answered_stand_in_one_window(browser: Browser) -> None:
    with opened(browser) as visit:
        page = visit.page
        assert out_of_sight(page, score=page.locator("#score")) == []  # before anything is chosen, too
        score(page, candidates=3)
        assert (
            out_of_sight(
                page,
                source=page.locator("#source-thumbnails img"),
                candidate_1=page.locator("#candidates-thumbnails img").first,
                candidate_3=page.locator("#candidates-thumbnails img").last,
                instruction=page.locator("#instruction"),
                score=page.locator("#score"),
                before_and_after=page.locator(".compare"),
                rewards=page.get_by_role("tablist", name="Candidates"),
                reward=page.get_by_role("tabpanel").locator(".reward"),
                verdicts=page.get_by_role("tabpanel").locator(".verdicts"),
            )
            == []
        )
        assert page.evaluate("scrollY") == 0
        expect(page.locator("#principles")).to_be_hidden()
        page.get_by_text("Principles (3)").click()
        expect(page.get_by_label("Question of principle 3")).to_be_visible()
        page.get_by_label("Instruction").fill("make it green")
        expect(page.locator("#results-heading")).to_have_text("Results of the earlier edit")
        page.get_by_role("button", name="Score", exact=True).click()
        expect(page.locator("#results-heading")).to_have_text("Results")
        assert visit.complaints == []


def test_candidates_are_tabs_for_mouse_and_keyboard(browser: Browser) -> None:
    with opened(browser) as visit:
        page = visit.page
        score(page, candidates=2)
        first, second = page.get_by_role("tab").all()
        expect(first).to_have_attribute("aria-selected", "true")
        first.press("ArrowRight")
        expect(second).to_be_focused()
        expect(second).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("tabpanel")).to_contain_text("blue1.png")
        expect(page.locator(".layer.after img")).to_have_attribute("alt", "Candidate 2: blue1.png")
        first.click()
        expect(page.get_by_role("tabpanel")).to_contain_text("blue0.png")
        assert page.get_by_role("tab").evaluate_all("tabs => tabs.map(tab => tab.tabIndex)") == [0, -1]


def test_on_a_phone_the_results_come_into_sight_and_nothing_is_wider_than_it(browser: Browser) -> None:
    with opened(browser, size=LARGER_PHONE) as visit:
        page = visit.page
        score(page, candidates=3)
        heading = page.get_by_role("heading", name="Results")
        page.wait_for_selector("#results-tabs", state="visible")
        expect(heading).to_be_in_viewport()
        expect(page.get_by_role("tab").first).to_be_in_viewport(ratio=1)
        expect(page.locator(".compare-frame")).to_be_in_viewport(ratio=1)
        assert page.evaluate("document.documentElement.scrollWidth") == LARGER_PHONE[0]


def test_the_slider_moves_and_the_pictures_zoom_and_pan_together(browser: Browser) -> None:
    with opened(browser) as visit:
        page = visit.page
        score(page)
        frame, slider = page.locator(".compare-frame"), page.get_by_label("Before and after:")
        x, y, width, _ = middle_of(page, ".compare-frame")
        assert middle_of(page, ".cut")[0] == pytest.approx(x, abs=1)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - width / 4, y)
        page.mouse.up()
        assert middle_of(page, ".cut")[0] == pytest.approx(x - width / 4, abs=1)
        assert float(slider.input_value()) == pytest.approx(25, abs=0.5)
        assert (
            page.locator(".layer.after")
            .evaluate("part => getComputedStyle(part).clipPath")
            .startswith("inset(0px 0px 0px 25")
        )
        slider.fill("60")
        assert middle_of(page, ".cut")[0] == pytest.approx(x + width / 10, abs=1)
        expect(slider).to_have_attribute("aria-valuetext", "60 % before")

        # A wheel's turn at a quarter left of the middle: 1.25 times as large, that point where it was.
        page.mouse.move(x - width / 4, y)
        page.mouse.wheel(0, -100)
        expect(page.locator(".compare output")).to_have_text("125 %")
        assert page.evaluate("scrollY") == 0
        for picture in (".layer.before img", ".layer.after img"):
            found = middle_of(page, picture)
            assert found[2] == pytest.approx(1.25 * width, abs=1)
            assert found[0] == pytest.approx(x + width / 16, abs=1)
        frame.press("+")
        expect(page.locator(".compare output")).to_have_text("156 %")
        before = middle_of(page, ".layer.before img")[0]
        frame.press("ArrowRight")
        assert middle_of(page, ".layer.before img")[0] == pytest.approx(before - 40, abs=1)
        page.mouse.move(x - width / 4, y)  # away from the line: a drag moves the pictures
        page.mouse.down()
        page.mouse.move(x - width / 4 + 20, y + 10)
        page.mouse.up()
        moved = middle_of(page, ".layer.after img")
        assert (moved[0], moved[1]) == (pytest.approx(before - 20, abs=1), pytest.approx(y + 10, abs=1))
        frame.press("0")
        assert middle_of(page, ".layer.after img")[2] == pytest.approx(width, abs=1)

        changed = page.get_by_role("button", name="Show what changed")
        changed.click()
        expect(changed).to_have_attribute("aria-pressed", "true")
        overlay = page.locator(".layer.change img")
        expect(overlay).to_be_visible()
        assert overlay.evaluate("async image => { await image.decode(); return image.naturalWidth; }") == 48
        assert visit.complaints == []


def test_files_that_are_no_pictures_for_it_are_refused_by_name_when_chosen(browser: Browser) -> None:
    cases = [
        (file("notes.png", b"no picture at all"), "notes.png holds text, no picture."),
        (file("film.png", encoded(GREEN, BLACK)),
         "film.png is animated: save one still picture of it."),
        (file("film.webp", encoded(GREEN, BLACK, form="WEBP"), "image/webp"),
         "film.webp is animated: save one still picture of it."),
        (file("old.gif", encoded(GREEN, form="GIF"), "image/gif"), "old.gif is no PNG, JPEG or WebP."),
        (file("cut.png", b"\x89PNG\r\n\x1a\n\0\1\2"), "cut.png is damaged, it does not decode."),
        (file("heavy.png", encoded(GREEN) + bytes(20_000)),
         "heavy.png has 0.0 MiB, the service takes at most 0.0 MiB."),
        (file("wide.png", encoded(Image.new("L", (200, 150)))),
         "wide.png has 200 × 150 pixels (0.0 megapixels), the service takes at most 0.0 megapixels."),
    ]  # fmt: skip
    with opened(browser, max_image_bytes=20_000, max_image_pixels=20_000) as visit:
        page = visit.page
        for chosen, told in cases:
            page.get_by_label("Choose edited images").set_input_files(chosen)
            expect(page.locator("#problem")).to_have_text(told)
            expect(page.locator(".thumbnails img")).to_have_count(0)
        # The good ones of several are taken, whatever stands beside them.
        page.get_by_label("Choose edited images").set_input_files(
            [file("a.png", b"text"), file("b.png", BLUE)]
        )
        expect(page.locator("#candidates-thumbnails figcaption")).to_have_text(["b.png"])
        expect(page.locator("#problem")).to_have_text("a.png holds text, no picture.")
        assert visit.count("/v1/score") == visit.count("/v1/decompose") == 0
        assert visit.complaints == []


def test_what_it_cannot_judge_is_said_in_its_cards_words_and_the_grammar_is_folded_away(
    browser: Browser,
) -> None:
    verified: list[Asked] = []

    def first_only(asked: Asked) -> str:
        if not asked.verifies:
            return well_behaved(asked)
        verified.append(asked)
        return trace(asked) if len(verified) == 1 else "nonsense"

    with opened(browser, lambda asked: "nonsense") as visit:
        page = visit.page
        page.get_by_label("Choose the source").set_input_files(file("red.png", RED))
        page.get_by_label("Choose edited images").set_input_files(file("blue.png", BLUE))
        page.get_by_label("Instruction").fill("make it blue")
        page.get_by_role("button", name="Score", exact=True).click()
        problem = page.locator("#problem")
        expect(problem).to_contain_text(f"It says of itself: “{JUDGES}”")
        technical = problem.locator("details code")
        expect(technical).to_be_hidden()
        expect(technical).to_contain_text("line 1")
        assert "line 1" not in problem.inner_text()
    with opened(browser, first_only) as visit:
        page = visit.page
        page.get_by_label("Choose the source").set_input_files(file("red.png", RED))
        page.get_by_label("Choose edited images").set_input_files(
            [file("blue.png", BLUE), file("green.png", png(picture((30, 220, 30))))]
        )
        page.get_by_label("Instruction").fill("make it blue")
        page.get_by_role("button", name="Score", exact=True).click()
        expect(page.locator("#results-summary")).to_contain_text("1 could not be scored")
        page.get_by_role("tab").filter(has_text="not scored").click()
        card = page.get_by_role("tabpanel")
        expect(card).to_contain_text(JUDGES)
        expect(card.locator("details code")).to_be_hidden()


def test_the_sessions_scores_come_back_and_outlive_the_page_as_a_file(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(browser) as visit:
        page = visit.page
        score(page, candidates=2, instruction="make it blue")
        page.get_by_role("button", name="Remove candidate 2: blue1.png").click()
        page.get_by_label("Instruction").fill("make it <b>navy</b>")
        page.get_by_role("button", name="Score", exact=True).click()
        entries = page.locator(".entry")
        expect(entries).to_have_count(2)
        expect(entries.locator(".instruction")).to_have_text(["make it <b>navy</b>", "make it blue"])
        expect(entries.locator(".number")).to_have_text(["0.60", "0.60"])

        def older_is_back() -> None:
            entries.last.click()
            expect(entries.last).to_have_attribute("aria-current", "true")
            expect(page.get_by_label("Instruction")).to_have_value("make it blue")
            expect(page.locator("#candidates-thumbnails img")).to_have_count(2)
            expect(page.locator("#results-summary")).to_have_text(
                "2 candidates scored; all with the same reward."
            )
            expect(page.get_by_role("tab")).to_have_count(2)
            expect(page.locator("#principles li")).to_have_count(3)

        older_is_back()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save this session").click()
        saved = tmp_path / "session.json"
        download.value.save_as(saved)
        content = json.loads(saved.read_text())
        assert [picture["name"] for picture in content["pictures"]] == ["red.png", "blue0.png", "blue1.png"]

        asked = visit.count("/v1/score")
        page.reload()
        expect(page.locator("#model-judges")).to_have_text(JUDGES)
        expect(entries).to_have_count(0)
        page.get_by_label("Load a session").set_input_files(saved)
        expect(page.locator("#history-told")).to_have_text("2 scores loaded.")
        older_is_back()
        assert visit.count("/v1/score") == asked  # shown from the file, and kept by no service
        page.get_by_role("button", name="Score", exact=True).click()
        expect(entries).to_have_count(3)

        not_encoded = json.loads(json.dumps(content))
        not_encoded["scores"][1]["answer"]["results"][1]["change_map"] = "<jpeg>"
        content["scores"][0]["answer"]["results"][0]["reward"] = "<b>1</b>"
        refused = {
            "a.json": (b"{", "a.json is no JSON."),
            "b.json": (b"[]", "b.json is no saved history: the file is no record."),
            "c.json": (
                json.dumps(content).encode(),
                "c.json is no saved history: the file.scores[0].answer.results[0].reward is no number.",
            ),
            "e.json": (
                json.dumps(not_encoded).encode(),
                "e.json is no saved history: the file.scores[1].answer.results[1].change_map is no base64.",
            ),
            "d.json": (
                json.dumps({**content, "scores": [], "pictures": [TEXT_AS_PICTURE]}).encode(),
                "d.json holds x.png, which holds text, no picture.",
            ),
        }  # fmt: skip
        for name, (bad, told) in refused.items():
            page.get_by_label("Load a session").set_input_files(file(name, bad, "application/json"))
            expect(page.locator("#problem")).to_have_text(told)
            expect(entries).to_have_count(3)
        assert visit.complaints == []
