"""A module marked `own_process` runs in a pytest of its own: what ends its host (Ray may) is a failed test.

`tests/watched.py` runs that pytest, too, so that nothing outlives it. Its reports come through a file.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

WATCHED = Path(__file__).with_name("watched.py")
TEST_LIMIT_S = 600.0
END_LIMIT_S = 60.0
# What C++ says last is not kept back.
_OPTIONS = ("-p", "no:cacheprovider", "--capture=tee-sys")
_REPORTS_FILE = "WATCHED_REPORTS"
_REPORTS = pytest.StashKey[dict[str, list[pytest.TestReport]]]()


class ReportsFile:
    """In the pytest of its own: writes each report as it is made, so that a death loses none."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        with self._path.open("a") as file:
            file.write(json.dumps(data) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Says where reports go, in the pytest of its own."""
    if _REPORTS_FILE in os.environ:
        config.pluginmanager.register(ReportsFile(config, Path(os.environ[_REPORTS_FILE])))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Out here the first test of such a module takes as long as all of them."""
    if _is_elsewhere(item):
        item.add_marker(pytest.mark.timeout(0), append=False)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """The module is run when its first test is due; each test's reports are told when it is."""
    if not _is_elsewhere(item):
        return None
    known = item.config.stash.setdefault(_REPORTS, {})
    if item.nodeid not in known:
        known |= _run_module([each for each in item.session.items if each.path == item.path])
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in known[item.nodeid]:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # The test before left set up what this one would have used.
    item.session._setupstate.teardown_exact(nextitem)
    return True


def _is_elsewhere(item: pytest.Item) -> bool:
    return _REPORTS_FILE not in os.environ and item.get_closest_marker("own_process") is not None


def _run_module(items: list[pytest.Item]) -> dict[str, list[pytest.TestReport]]:
    """The reports of each test; one that the process did not live to finish has failed."""
    with tempfile.TemporaryDirectory(prefix="own-process-") as folder:
        reports_file, output = Path(folder, "reports"), Path(folder, "output")
        reports_file.touch()
        command = [sys.executable, str(WATCHED), *(item.nodeid for item in items), *_OPTIONS]
        with output.open("wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, start_new_session=True, cwd=items[0].config.rootpath,
                env={**os.environ, _REPORTS_FILE: str(reports_file)},
            )  # fmt: skip
            try:
                status = process.wait(TEST_LIMIT_S * len(items))
            except subprocess.TimeoutExpired:
                status = _ended(process)
            except BaseException:  # Ctrl-C does not reach a session of its own
                _ended(process)
                raise
        reports: dict[str, list[pytest.TestReport]] = {item.nodeid: [] for item in items}
        for line in reports_file.read_text().splitlines():
            report = items[0].config.hook.pytest_report_from_serializable(
                config=items[0].config, data=json.loads(line)
            )
            reports[report.nodeid].append(report)
        failed = any(report.failed for found in reports.values() for report in found)
        told = output.read_text(errors="replace")[-6000:]
    for item in items:
        if not any(report.when == "teardown" for report in reports[item.nodeid]):
            reports[item.nodeid].append(
                _failure(item, f"its process ended before it, status {status}\n{told}")
            )
            failed = True
    if status != 0 and not failed:
        reports[items[-1].nodeid].append(_failure(items[-1], f"its process ended with {status}\n{told}"))
    return reports


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit status. tests/watched.py ends all below it; where it cannot, its group is killed."""
    process.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_LIMIT_S)
    finally:  # at a second Ctrl-C, too
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _failure(item: pytest.Item, what: str) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=item.nodeid, location=item.location, keywords={item.name: 1}, outcome="failed", longrepr=what,
        when="call",
    )  # fmt: skip
