"""What tests of several packages share: a browser, who runs with whom under `-n`, and how a run ends."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from playwright.sync_api import Browser
from xdist.scheduler import LoadScopeScheduling

import own_process
from browsing import launched_chromium
from watched import ENDED_FILE

# Property tests are bounded by examples, not by the clock: the machine may be busy.
hypothesis.settings.register_profile("edit-rrm", deadline=None, max_examples=80)
hypothesis.settings.load_profile("edit-rrm")

HERE = Path(__file__).parent
SERVED = HERE / "e2e" / "served"
# What takes longest begins first, or one process is left working alone.
FIRST = (SERVED, HERE / "e2e", HERE / "shapes", HERE / "rrm_training")


class WholeFiles(LoadScopeScheduling):
    """A file runs in one process, and all that share the session's service in one together.

    xdist's own `--dist loadgroup` would say so with a mark, which 3.8 does not read under pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return SERVED.name if SERVED.name in file.parts else str(file)


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


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Everything is told: tests/watched.py may know."""
    if ENDED_FILE in os.environ and not hasattr(config, "workerinput"):
        Path(os.environ[ENDED_FILE]).touch()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, ended with the module: Playwright's loop runs in this thread, and async tests need it."""
    with launched_chromium() as browser:
        yield browser


def _place(path: Path) -> int:
    return next((place for place, folder in enumerate(FIRST) if folder in path.parents), len(FIRST))
