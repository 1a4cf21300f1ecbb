"""Pages of reports for a headless Chromium: rows become a file, the file is opened, mistakes are kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from edit_rrm_client.bulk.rows import ResultRow, write_results
from edit_rrm_client.report.build import ReportSettings, write_report
from edit_rrm_client.report.thumbnails import ThumbnailSettings


@dataclass
class Opened:
    """A page with what went wrong in it and what it asked the network for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def keys(self) -> list[str]:
        """The keys of the edits shown, in order."""
        cards = self.page.locator(".card")
        return [str(cards.nth(place).get_attribute("data-key")) for place in range(cards.count())]

    def choose(self, name: str, value: str) -> None:
        """Sets a filter as a person does."""
        control = self.page.locator(f"[name={name}]")
        if control.evaluate("control => control.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)


def open_file(browser: Browser, path: Path, address: str = "", **settings: Any) -> Opened:
    """The page of a file in a context of its own."""
    opened = Opened(browser.new_page(**settings))
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.page.on("console", lambda message: opened.errors.append(message.text))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(f"{path.as_uri()}{address}")
    return opened


def write_page(folder: Path, rows: Iterable[ResultRow], **settings: Any) -> Path:
    """The report of these rows."""
    results = folder / "results.jsonl"
    with write_results(results) as writer:
        for row in rows:
            writer.write(row)
    thumbnails = ThumbnailSettings(side=192, quality=70, max_bytes=64 * 2**20)
    chosen = {"title": "A report", "gallery_rows": 5000, "thumbnails": thumbnails, **settings}
    write_report(results, folder / "report.html", ReportSettings(**chosen))
    return folder / "report.html"
