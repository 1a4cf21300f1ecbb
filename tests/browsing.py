"""The page in a real browser: what it asked for and what the browser complained of is written down."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from debian_packages import require

_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_PATIENCE_MS = 60_000  # of an assertion: the cores are shared with a model
DESKTOP, PHONE, LARGER_PHONE = (1280, 900), (360, 740), (390, 844)


class Visit:
    """A tab on a service's page. `requests` are the URLs it asked for, `complaints` the console's errors."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._heard(message.type, message.text))

    def open(self) -> Page:
        """Loads the page."""
        self.page.goto(self.origin + "/")
        return self.page

    @property
    def left_the_origin(self) -> list[str]:
        """Requests to anybody but the service; pictures from the browser's own memory are none."""
        return [
            url for url in self.requests if not url.startswith((self.origin + "/", f"blob:{self.origin}/"))
        ]

    def count(self, path: str) -> int:
        """How often a path of the service was asked for."""
        return self.requests.count(self.origin + path)

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


def out_of_sight(page: Page, **parts: Locator) -> list[str]:
    """The names of those parts that do not lie wholly within the window."""
    assert page.viewport_size is not None
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    found = []
    for name, part in parts.items():
        box = part.bounding_box()
        if box is None or not box["width"] * box["height"]:
            found.append(f"{name} is not shown")
        elif (
            min(box["x"], box["y"]) < 0
            or box["x"] + box["width"] > width
            or box["y"] + box["height"] > height
        ):
            found.append(f"{name}: {box}")
    return found


@contextmanager
def launched_chromium() -> Iterator[Browser]:
    """A headless Chromium of Debian's."""
    require("chromium", _CHROMIUM)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser: Browser, origin: str, size: tuple[int, int] = DESKTOP) -> Iterator[Visit]:
    """A visit with a profile of its own."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, accept_downloads=True)
    context.set_default_timeout(_PATIENCE_MS)
    try:
        yield Visit(context.new_page(), origin)
    finally:
        context.close()
