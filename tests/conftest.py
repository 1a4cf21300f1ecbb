"""What tests of several packages share: a browser, who runs with whom under `-n`, and how a run ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from playwright.sync_api import Browser
from xdist.scheduler import LoadScopeScheduling

import own_process
from browsing import launched_chromium
from watched import tell
from workers import SERVED, WholeFiles

# Property tests are bounded by examples, not by the clock: the machine may be busy.
hypothesis.settings.register_profile("edit-rrm", deadline=None, max_examples=80)
hypothesis.settings.load_profile("edit-rrm")

HERE = Path(__file__).parent
# What takes longest begins first, or one process is left working alone.
FIRST = (SERVED, HERE / "e2e", HERE / "shapes", HERE / "rrm_training")


def pytest_configure(config: pytest.Config) -> None:
    """Tests of a module marked `own_process` run in a pytest of their own."""
    config.pluginmanager.register(own_process)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With `-n`, who runs what."""
    return WholeFiles(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n`, the order."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.path))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """From here on an end without a summary is none: tests/watched.py may know."""
    if not hasattr(session.config, "workerinput"):
        tell("started")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Everything is told."""
    if not hasattr(config, "workerinput"):
        tell("ended")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, ended with the module: Playwright's loop runs in this thread, and async tests need it."""
    with launched_chromium() as browser:
        yield browser


def _place(path: Path) -> int:
    return next((place for place, folder in enumerate(FIRST) if folder in path.parents), len(FIRST))
