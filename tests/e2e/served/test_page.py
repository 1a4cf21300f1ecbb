"""The page at `GET /` in a real browser, before the real service with the bundled model."""

import io
import re
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from service_process import ServiceProcess

from browsing import DESKTOP, PHONE, Visit, out_of_sight, visiting

NAMED = {
    "button",
    "textbox",
    "combobox",
    "spinbutton",
    "link",
    "image",
    "region",
    "tab",
    "tabpanel",
    "slider",
}
NUMBER = re.compile(r"^\d\.\d\d$")


@pytest.fixture
def visit(browser: Browser, trained: ServiceProcess) -> Iterator[Visit]:
    """The page, ready. In the end: no error in the console, and nothing was asked of anybody else."""
    with visiting(browser, trained.url) as visit:
        expect(visit.open().locator("#state")).to_have_text("ready")
        yield visit
        assert visit.complaints == []
        assert visit.left_the_origin == []


def press(page: Page, name: str) -> None:
    """Presses a button; after that of a sample waits until its pictures are there."""
    button = page.get_by_role("button", name=name, exact=True)
    is_sample = button.get_attribute("class") == "sample"
    button.click()
    if is_sample:
        expect(page.locator("#score")).to_be_focused()


def png(width: int, height: int) -> bytes:
    """A picture of noise: three bytes of the file for each of its pixels."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def scored(page: Page, candidates: int) -> list[Locator]:
    """The cards of the answer, once it is there; that of the chosen tab is shown."""
    cards = page.locator(".result")
    expect(page.locator("#progress")).to_contain_text("See the results")
    expect(cards).to_have_count(candidates)
    return cards.all()


def test_a_sample_is_scored_and_a_changed_principle_is_scored_again(visit: Visit) -> None:
    page = visit.page
    press(page, "A proper edit")
    press(page, "Score")
    (card,) = scored(page, 1)
    expect(page.locator("#principles-origin")).to_contain_text("Written by the model")
    principles = page.locator("#principles li").count()
    assert principles >= 3
    assert card.locator(".verdicts li").count() == principles
    assert float(card.locator(".number").inner_text()) > 0.5
    expect(card.locator(".verdicts li").first).to_contain_text("p(met)")
    card.get_by_text("Reasoning", exact=True).click()
    expect(card.locator("pre")).to_contain_text("<score>")

    page.get_by_text(f"Principles ({principles})").click()
    question = page.get_by_label("Question of principle 1")
    question.fill("Is the circle at the top left yellow?")
    press(page, "Score")
    expect(card.locator(".asked").first).to_have_text("Is the circle at the top left yellow?")
    expect(card.locator(".verdict").first).to_have_text("✗ not met")
    assert visit.count("/v1/decompose") == 1


def test_candidates_are_compared_and_the_best_reward_is_marked(visit: Visit) -> None:
    page = visit.page
    press(page, "Compare 3 edits: make the red circle blue")
    press(page, "Score")
    good, none, wrong = scored(page, 3)
    tabs = page.get_by_role("tab").all()
    rewards = [float(tab.locator(".number").inner_text()) for tab in tabs]
    assert rewards[0] > max(rewards[1:])
    assert rewards[1] == 0.0
    assert [tab.get_by_text("Best reward").count() for tab in tabs] == [1, 0, 0]
    # Everything of the answer beside everything that was asked, with the seven principles of the real model.
    assert out_of_sight(
        page,
        source=page.locator("#source-thumbnails img"),
        last_candidate=page.locator("#candidates-thumbnails img").last,
        instruction=page.locator("#instruction"),
        score=page.locator("#score"),
        before_and_after=page.locator(".compare"),
        rewards=page.locator("#results-tabs"),
        reward=good.locator(".reward"),
        verdicts=good.locator(".verdicts"),
    ) == []  # fmt: skip
    assert page.evaluate("scrollY") == 0
    tabs[1].click()
    expect(none).to_contain_text("Guard fired: no_edit")
    expect(good).to_be_hidden()
    tabs[2].click()
    expect(wrong.locator(".verdict").first).to_have_text("✗ not met")


def test_a_candidate_that_failed_shows_its_error_and_no_number(visit: Visit) -> None:
    page = visit.page
    press(page, "A proper edit")
    tiny = {"name": "tiny.png", "mimeType": "image/png", "buffer": png(4, 4)}
    page.get_by_label("Choose edited images").set_input_files(tiny)
    press(page, "Score")
    good, failed = scored(page, 2)
    expect(good.locator(".number")).to_have_text(NUMBER)
    expect(failed).to_contain_text("Not scored")
    expect(failed).to_contain_text("image_shape")
    assert failed.locator(".number").count() == 0
    expect(page.locator("#results-summary")).to_contain_text("1 could not be scored")


def test_a_refused_request_is_shown_with_what_to_do(browser: Browser, trained: ServiceProcess) -> None:
    # A visit of its own: the browser itself logs every answer of 4xx as an error.
    with visiting(browser, trained.url) as visit:
        page = visit.open()
        press(page, "A proper edit")
        # Each is small enough by itself; together they are not.
        large = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": png(640, 640)} for n in (1, 2)]
        page.get_by_label("Choose edited images").set_input_files(large)
        press(page, "Score")
        expect(page.locator("#problem")).to_contain_text("body_too_large")
        expect(page.locator("#problem")).to_contain_text("Use fewer or smaller files")
        expect(page.locator("#results")).to_be_hidden()


def test_the_keyboard_is_enough(visit: Visit) -> None:
    page = visit.page
    visited: list[str] = []

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            visited.append(focused(page))
            if visited[-1] == name:
                return
        raise AssertionError(f"{name} was not reached; visited {visited}")

    tab_to("A proper edit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Score", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    scored(page, 1)
    tab_to("Principles (7)")
    page.keyboard.press("Enter")
    tab_to("Question of principle 1")
    page.keyboard.press("Control+A")
    page.keyboard.type("Is the circle green?")
    tab_to("Move principle 1 down")
    page.keyboard.press("Enter")
    assert focused(page) == "Move principle 2 down"
    tab_to("Move principle 3 up")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Question of principle 3")).to_have_value("Is the circle green?")
    page.get_by_role("tab").focus()
    tab_to("Time, tokens, curl and JSON")
    page.keyboard.press("Enter")
    tab_to("Show the request as curl")
    page.keyboard.press("Space")
    expect(page.get_by_label("The request as curl")).to_be_visible()
    page.get_by_label("Instruction").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".asked").nth(2)).to_have_text("Is the circle green?")


def focused(page: Page) -> str:
    """The name of what has the focus, as a screen reader would say it, near enough."""
    name: str = page.evaluate(
        """() => {
            const node = document.activeElement;
            const label = node.getAttribute("aria-label") ?? node.labels?.[0]?.innerText;
            return (label ?? node.innerText ?? "").trim();
        }"""
    )
    return name


def test_every_control_and_picture_has_a_name(visit: Visit) -> None:
    page = visit.page
    press(page, "Compare 3 edits: make the red circle blue")
    press(page, "Score")
    scored(page, 3)
    page.get_by_text("Options", exact=True).click()
    page.get_by_text("Time, tokens, curl and JSON").click()
    page.get_by_text("Principles (7)").click()
    press(page, "Show the request as curl")
    # What the browser's own accessibility tree says, with its computed names.
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    controls = [
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in NAMED
    ]
    assert len(controls) > 40
    assert [role for role, name in controls if not name.strip()] == []
    buttons = [name for role, name in controls if role in ("button", "textbox", "combobox", "spinbutton")]
    assert sorted(name for name in set(buttons) if buttons.count(name) > 1) == []
    assert page.locator("[role=status], [role=alert]").count() >= 4
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_scrolls_sideways(browser: Browser, trained: ServiceProcess, size: tuple[int, int]) -> None:
    with visiting(browser, trained.url, size) as visit:
        page = visit.open()
        assert overhanging(page) == []
        press(page, "Compare 3 edits: make the red circle blue")
        press(page, "Score")
        scored(page, 3)
        page.get_by_text("Limits, defaults and measured results").click()
        page.get_by_text("Options", exact=True).click()
        page.get_by_text("Time, tokens, curl and JSON").click()
        page.get_by_text("Principles (7)").click()
        press(page, "Show the request as curl")
        assert overhanging(page) == []


def overhanging(page: Page) -> list[str]:
    """What reaches beyond the window or beyond its card, but for boxes that scroll."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("body *:not(.skip, option)")].filter((node) => {
            if (node.closest(".table, .tabs, .compare-frame") || node.type === "file") return false;
            const end = node.getBoundingClientRect().right;
            const card = node.parentElement.closest(".card");
            return end > innerWidth || (card !== null && end > card.getBoundingClientRect().right);
        }).map((node) => `${node.tagName}.${node.className}`)"""
    )
    return found
