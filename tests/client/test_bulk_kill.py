"""SIGKILL at twenty seeded moments of one job: at its end every row is there once, and none was asked twice
that had been recorded. Rows on the wire at a kill may be asked again: they were not recorded."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from bulk_inputs import by_content, edits_file, jsonl
from served_mock import asked_images, served

pytestmark = pytest.mark.slow

EDITS, CANDIDATES, KILLS, CONCURRENCY = 250, 4, 20, 4


def recorded_keys(out: Path) -> set[str]:
    """The keys in the whole lines of the journal."""
    journal = Path(f"{out}.journal.jsonl")
    if not journal.exists():
        return set()
    whole, _, _ = journal.read_bytes().rpartition(b"\n")
    journal_copy = out.with_name("journal-copy.jsonl")
    journal_copy.write_bytes(whole)
    return {row["key"] for row in jsonl(journal_copy)[1:]}


def test_twenty_kills_lose_no_row_double_none_and_repeat_no_recorded_call(tmp_path: Path) -> None:
    source, out = edits_file(tmp_path, EDITS, CANDIDATES), tmp_path / "r.jsonl"
    dice = random.Random(20)
    service = by_content({})
    reached = threading.Event()
    kill_at = 0  # the call, counted over all runs, whose answer is not sent before the kill

    def on_call() -> None:
        if kill_at and len(service.calls) >= kill_at:
            reached.set()

    command = "from edit_rrm_client.cli import app; app()"
    asked_again_allowed: Counter[str] = Counter()
    with served(service, on_call) as url:
        arguments = ["score", str(source), "-o", str(out), "--url", url, "--concurrency", str(CONCURRENCY)]
        for _ in range(KILLS):
            recorded, calls_before = recorded_keys(out), len(service.calls)
            reached.clear()
            kill_at = calls_before + dice.randint(1, 14)
            process = subprocess.Popen(
                [sys.executable, "-c", command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert reached.wait(60), "the job did not come to its next call"
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            url.wait_until_all_have_left()
            calls = service.calls[calls_before:]
            assert not recorded & {key for call in calls for key in asked_images(call)}
            lost = [key for call in calls for key in asked_images(call) if key not in recorded_keys(out)]
            # on the wire: the window; and a call that a dying connection let in after the kill
            assert len(lost) <= 2 * CONCURRENCY * CANDIDATES
            asked_again_allowed.update(lost)
        kill_at = 0
        recorded, calls_before = recorded_keys(out), len(service.calls)
        assert 0 < len(recorded) < EDITS * CANDIDATES
        last = subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, text=True)
        assert last.returncode == 0, last.stderr
    assert not recorded & {key for call in service.calls[calls_before:] for key in asked_images(call)}
    asked = Counter(key for call in service.calls for key in asked_images(call))
    everything = [f"e{edit}/{candidate}" for edit in range(EDITS) for candidate in range(CANDIDATES)]
    assert [row["key"] for row in jsonl(out)] == everything
    assert set(asked) == set(everything)
    assert asked - Counter(everything) == asked_again_allowed
