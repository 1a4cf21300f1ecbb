"""Draws the pictures of the docs in which scores are seen, anew with the weights that ship:

    .venv/bin/python demo/photograph.py                              # a service of its own
    .venv/bin/python demo/photograph.py --url http://127.0.0.1:8000  # one that runs with the bundled model

page.png, page-phone.png, report.png and contact_sheet.png, each with a text chunk that says who judged
(`tests/docs/test_docs_pictures.py` compares it with what ships); frame.png, a photograph on the page and in a
report, without a score. Needs Debian's chromium and some minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser, Page, expect, sync_playwright
from rich.console import Console

import run
import score_photos
from edit_rrm_client import RewardClient
from edit_rrm_shapes.world.dataset import make_edit
from edits import load_edits
from photo_listing import FOLDER, LISTING, listed
from service import Service

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
JUDGED_BY = "judged by"
PATIENCE_MS = 120_000
COMPARED = "Compare 3 edits: make the red circle blue"
REPORT_SEED, REPORT_EDITS, CANDIDATES = 7, 8, 3


def main() -> None:
    """All five."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a service that runs with the bundled model; default: one is started")
    given: str | None = parser.parse_args().url
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = given or stack.enter_context(Service(folder / "service.log")).url
        client = stack.enter_context(RewardClient(url))
        client.wait_until_ready(run.READY_TIMEOUT_S)
        model = client.models().models[0]
        judge = f"{model.name}@{model.weights_digest}"
        run.OUTPUT.mkdir(exist_ok=True)
        edits = load_edits(run.FOLDER / "edits.json")
        rows = [
            run.score(Console(quiet=True), client, edit, number, len(edits))
            for number, edit in enumerate(edits)
        ]
        keep(run.write_sheet([row for row in rows if row is not None], model), "contact_sheet.png", judge)
        report, photographs = report_of(folder, url), photographs_of(folder, url)
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        expect.set_options(timeout=PATIENCE_MS)
        keep(desk(browser, url, folder / "page.png"), "page.png", judge)
        keep(phone(browser, url, folder / "page-phone.png"), "page-phone.png", judge)
        keep(gallery(browser, report, folder / "report.png"), "report.png", judge)
        keep(frames(browser, url, photographs, folder), "frame.png")
        browser.close()


def keep(picture: Path, name: str, judge: str = "") -> None:
    """Writes a picture into the docs with few colours, which keeps it small, and with its judge's name."""
    said = PngInfo()
    if judge:
        said.add_text(JUDGED_BY, judge)
    with Image.open(picture) as drawn:
        few = drawn.convert("RGB").quantize(
            256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE
        )
        few.save(IMAGES / name, optimize=True, pnginfo=said)


def desk(browser: Browser, url: str, picture: Path) -> Path:
    """Three candidates compared on the page, the edit seen on both sides of the slider."""
    page = scored(browser.new_page(viewport={"width": 1280, "height": 900}), url)
    page.get_by_label("Before and after:").fill("17")
    page.screenshot(path=picture)
    page.close()
    return picture


def phone(browser: Browser, url: str, picture: Path) -> Path:
    """What a phone shows after *Score*, in the dark scheme."""
    page = browser.new_page(
        viewport={"width": 390, "height": 844}, color_scheme="dark", reduced_motion="reduce"
    )
    scored(page, url)
    page.get_by_label("Before and after:").fill("17")
    page.locator("#results").evaluate("results => results.scrollIntoView()")
    page.screenshot(path=picture)
    page.close()
    return picture


def scored(page: Page, url: str) -> Page:
    """The page with the answer to a comparison of samples."""
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    page.get_by_role("button", name=COMPARED, exact=True).click()
    expect(page.locator("#score")).to_be_focused()
    page.locator("#score").click()
    expect(page.locator("#progress")).to_contain_text("See the results")
    return page


def report_of(folder: Path, url: str) -> Path:
    """The report of edits of the shapes world that the service scored."""
    lines = []
    for index in range(REPORT_EDITS):
        edit = make_edit(REPORT_SEED, index, CANDIDATES)
        edit.picture().save(folder / f"{edit.id}.png")
        for number, candidate in enumerate(edit.candidates):
            candidate.picture().save(folder / f"{edit.id}-{number}.png")
            lines.append({
                "id": edit.id, "candidate": number, "model": candidate.editor,
                "category": edit.request.category,
                "instruction": edit.request.instruction, "source": f"{edit.id}.png",
                "edited": f"{edit.id}-{number}.png",
            })  # fmt: skip
    (folder / "edits.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    command = str(Path(sys.executable).with_name("edit-rrm"))
    results = folder / "results.parquet"
    subprocess.run([command, "score", folder / "edits.jsonl", "-o", results, "--url", url], check=True)
    subprocess.run([command, "report", results, "-o", folder / "report.html"], check=True)
    return folder / "report.html"


def gallery(browser: Browser, report: Path, picture: Path) -> Path:
    """The report's edits of which a principle about the background is not met."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{report.as_uri()}#principle=background&principle_met=0&sort=-score")
    expect(page.locator(".card").first).to_be_visible()
    page.screenshot(path=picture)
    page.close()
    return picture


def photographs_of(folder: Path, url: str) -> Path:
    """The report of the demo's photographs, for its pictures."""
    results, report = folder / "photos.jsonl", folder / "photos.html"
    score_photos.edit_rrm("score", str(LISTING), "-o", str(results), "--url", url)
    score_photos.edit_rrm("report", str(results), "-o", str(report), "--thumbnail-side", "512")
    return report


def frames(browser: Browser, url: str, report: Path, folder: Path) -> Path:
    """A photograph before and after on the page, and what changed of it in a report, in the dark."""
    edit = next(row for row in listed() if row.id == "chelsea-eyes")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.get_by_label("Choose the source").set_input_files(FOLDER / edit.source)
    page.get_by_label("Choose edited images").set_input_files(FOLDER / edit.edited)
    page.get_by_label("Before and after:").fill("45")
    page.locator(".compare").screenshot(path=folder / "before-and-after.png")
    page.close()
    dark = browser.new_page(viewport={"width": 1000, "height": 800}, color_scheme="dark")
    dark.goto(report.as_uri())
    dark.locator(f"[data-key='{edit.key}'] .pictures").click()
    dark.get_by_role("button", name="Show what changed").click()
    dark.get_by_label("Before and after:").fill("20")
    dark.locator(".compare").screenshot(path=folder / "what-changed.png")
    dark.close()
    return beside(folder / "before-and-after.png", folder / "what-changed.png")


def beside(*pictures: Path) -> Path:
    """Pictures in a row, as high as the first; written over it."""
    opened = [Image.open(picture).convert("RGB") for picture in pictures]
    high = opened[0].height
    fitted = [picture.resize((picture.width * high // picture.height, high)) for picture in opened]
    row = Image.new("RGB", (sum(picture.width for picture in fitted), high), "white")
    left = 0
    for picture in fitted:
        row.paste(picture, (left, 0))
        left += picture.width
    row.save(pictures[0])
    return pictures[0]


if __name__ == "__main__":
    main()
