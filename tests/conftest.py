"""What tests of several packages share: a browser, and who runs with whom (`make test` has two processes)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browsing import launched_chromium

END_TO_END = Path(__file__).parent / "e2e"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files stay whole, those that ask the session's server stay together; what takes longest goes first."""
    with_server = {item.path for item in items if "server" in getattr(item, "fixturenames", ())}

    def rank(item: pytest.Item) -> int:
        return 0 if item.path in with_server else 1 if END_TO_END in item.path.parents else 2

    items.sort(key=rank)
    for item in items:
        group = "server" if item.path in with_server else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, ended with the module: Playwright's loop runs in this thread, and async tests need it."""
    with launched_chromium() as browser:
        yield browser
