"""The page in a browser with photographs: source and edit lie on each other, and what changed is marked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_service import LiveService
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from scripted_engine import ScriptedEngine, well_behaved

from browsing import DESKTOP, LARGER_PHONE, Visit, out_of_sight, visiting
from edit_rrm.checkpoint import RRMCard

pytestmark = pytest.mark.slow

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
CAT, BLUE_EYES = PHOTOS / "sources/chelsea.jpg", PHOTOS / "edited/chelsea-eyes-good-0.jpg"
ONE_EYE = PHOTOS / "edited/chelsea-eyes-bad-0.jpg"
CAT_SIZE = (451, 300)
MARKED = """async image => {
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: 451, height: 300});
    const pen = canvas.getContext("2d", {willReadFrequently: true});
    pen.drawImage(image, 0, 0, 451, 300);
    const share = (x, y, width, height) => {
        const {data} = pen.getImageData(x, y, width, height);
        let marked = 0;
        for (let i = 0; i < data.length; i += 4) {
            const colour = data.slice(i, i + 3);
            marked += Math.max(...colour) - Math.min(...colour) > 25;
        }
        return marked / (width * height);
    };
    return {left: share(145, 95, 55, 45), right: share(300, 118, 38, 38), nose: share(210, 190, 100, 90)};
}"""
"""The share of coloured pixels of a change map in three places: the rest of it is grey."""


@pytest.fixture(params=[DESKTOP, LARGER_PHONE], ids=["desktop", "phone"])
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    card = RRMCard(name="scripted", profile="trained", trace_format="1", max_image_side=512, judges="All.")
    engine = ScriptedEngine(well_behaved)
    with LiveService(engine, card=card) as live, visiting(browser, live.url, request.param) as visit:
        visit.page.emulate_media(reduced_motion="reduce")  # places are read while nothing scrolls
        expect(visit.open().locator("#model-judges")).to_have_text("All.")
        yield visit
        assert visit.complaints == []


def scored(page: Page, *edited: Path) -> None:
    page.get_by_label("Choose the source").set_input_files(CAT)
    page.get_by_label("Choose edited images").set_input_files(edited)
    page.get_by_label("Instruction").fill("make the cat's eyes blue")
    page.get_by_role("button", name="Score", exact=True).click()
    expect(page.locator("#progress")).to_contain_text("See the results")


def test_source_and_edit_lie_on_each_other_in_their_own_shape(visit: Visit) -> None:
    page = visit.page
    scored(page, BLUE_EYES, ONE_EYE)
    before, after = (page.locator(f".layer.{layer} img") for layer in ("before", "after"))
    for image in (before, after):
        decoded = image.evaluate("async i => { await i.decode(); return [i.naturalWidth, i.naturalHeight]; }")
        assert decoded == [*CAT_SIZE]
    assert before.bounding_box() == after.bounding_box()
    frame = page.locator(".compare-frame").bounding_box()
    assert frame is not None
    assert frame["width"] / frame["height"] == pytest.approx(CAT_SIZE[0] / CAT_SIZE[1], rel=0.02)
    page.locator(".compare-frame").evaluate("part => part.scrollIntoView({block: 'center'})")
    assert out_of_sight(page, frame=page.locator(".compare-frame"), before=before) == []


def test_what_changed_is_marked_where_it_changed(visit: Visit) -> None:
    page = visit.page
    scored(page, BLUE_EYES, ONE_EYE)
    page.get_by_role("button", name="Show what changed").click()
    overlay = page.locator(".layer.change img")
    expect(overlay).to_be_visible()
    both = overlay.evaluate(MARKED)
    assert min(both["left"], both["right"]) > 0.1
    assert both["nose"] < 0.02
    page.get_by_role("tab").nth(1).click()
    expect(page.get_by_role("tabpanel")).to_contain_text(ONE_EYE.name)
    one = page.locator(".layer.change img").evaluate(MARKED)
    assert one["left"] > 0.1
    assert max(one["right"], one["nose"]) < 0.02


def test_a_file_that_is_no_picture_is_refused_by_name_when_it_is_dropped_among_photographs(
    visit: Visit,
) -> None:
    page = visit.page
    files = [[path.name, list(path.read_bytes())] for path in (BLUE_EYES, PHOTOS / "LICENCES.md", ONE_EYE)]
    page.evaluate(
        """files => {
            const data = new DataTransfer();
            for (const [name, bytes] of files) data.items.add(new File([new Uint8Array(bytes)], name));
            document.querySelector("#candidates-zone").dispatchEvent(
                new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: data}));
        }""",
        files,
    )
    expect(page.locator("#problem")).to_contain_text("LICENCES.md")
    expect(page.locator("#candidates-thumbnails figcaption")).to_have_text([BLUE_EYES.name, ONE_EYE.name])
    assert visit.count("/v1/score") == 0


def test_a_tall_picture_leaves_the_tools_in_the_window(visit: Visit, tmp_path: Path) -> None:
    for photograph in (CAT, BLUE_EYES):
        with Image.open(photograph) as image:
            image.crop((120, 0, 240, 300)).save(tmp_path / photograph.name)
    page = visit.page
    page.get_by_label("Choose the source").set_input_files(tmp_path / CAT.name)
    page.get_by_label("Choose edited images").set_input_files(tmp_path / BLUE_EYES.name)
    frame, tools = page.locator(".compare-frame"), page.locator(".compare-tools")
    expect(page.locator(".layer.after img")).to_be_visible()
    page.locator(".compare").evaluate("part => part.scrollIntoView({block: 'center'})")
    assert out_of_sight(page, frame=frame, tools=tools) == []
    box = frame.bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(box["height"], rel=0.02)
