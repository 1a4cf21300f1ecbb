"""What tests of several packages share: a browser, and who runs with whom under `-n`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from xdist.scheduler import LoadScopeScheduling

from browsing import launched_chromium

END_TO_END = Path(__file__).parent / "e2e"


class WholeFiles(LoadScopeScheduling):
    """A file runs in one process, and what is end to end in one together: it shares a server.

    xdist's own `--dist loadgroup` would say so with a mark, which 3.8 does not read under pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return END_TO_END.name if END_TO_END.name in Path(file).parts else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With `-n`, who runs what."""
    return WholeFiles(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n`, what takes longest goes first."""
    if not hasattr(config, "workerinput"):
        return
    items.sort(key=lambda item: END_TO_END not in item.path.parents)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, ended with the module: Playwright's loop runs in this thread, and async tests need it."""
    with launched_chromium() as browser:
        yield browser
