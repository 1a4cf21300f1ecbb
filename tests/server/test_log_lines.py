"""The log on a full disk: calls are answered, and standard error is not filled in its place."""

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_service import Start

from edit_rrm_server.observe.log_lines import LogLines
from edit_rrm_server.process.progress import StartProgress

ACCESS = logging.getLogger("edit_rrm_server.http.access")


@pytest.fixture
def lines() -> Iterator[LogLines]:
    """The access log on a disk that is full."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        handler = LogLines(io.TextIOWrapper(full, write_through=True))
        level = ACCESS.level
        ACCESS.setLevel(logging.INFO)
        ACCESS.addHandler(handler)
        yield handler
        ACCESS.removeHandler(handler)
        ACCESS.setLevel(level)


async def test_a_full_disk_is_told_once_costs_no_call_and_the_log_goes_on_afterwards(
    start: Start, lines: LogLines, capsys: pytest.CaptureFixture[str]
) -> None:
    running = await start()

    def told() -> int:
        return capsys.readouterr().err.count("--- Logging error ---")

    full = lines.stream
    assert [(await running.score()).status_code for _ in range(3)] == [200] * 3
    assert told() == 1
    lines.stream = freed = io.StringIO()
    assert (await running.score()).status_code == 200
    assert freed.getvalue().count('"route":"/v1/score"') == 1
    lines.stream = full
    assert [(await running.score()).status_code for _ in range(3)] == [200] * 3
    assert told() == 1


def test_a_step_of_a_load_that_cannot_be_shown_does_not_end_the_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An engine was not restarted, and the service did not end, for its progress found no room on disk."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(full, write_through=True))
        progress = StartProgress(0.0)
        progress.step("loading the model")
        progress.say("the service ends")
        progress.end()
        monkeypatch.undo()
