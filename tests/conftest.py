"""What tests of several packages share: a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browsing import launched_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, ended with the module: Playwright's loop runs in this thread, and async tests need it."""
    with launched_chromium() as browser:
        yield browser
