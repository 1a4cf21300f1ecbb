"""Stages: their order, their locks between processes, and the record of what they took."""

import subprocess
import sys
from pathlib import Path

import pytest

from edit_rrm_shapes.errors import StageError
from edit_rrm_shapes.staged.running import Stage, launch_process, run_graph
from edit_rrm_shapes.staged.state import StageStates

STAGES = (
    Stage("one", 1.0),
    Stage("two", 1.0, ("one",)),
    Stage("three", 1.0, ("one", "two")),
)


def finish(states: StageStates, name: str) -> None:
    with states.timed(name, {}):
        pass


def test_stages_run_once_each_after_what_they_need(tmp_path: Path) -> None:
    states = StageStates(tmp_path)
    ran: list[str] = []

    def launch(stage: Stage, lock: int) -> None:
        ran.append(stage.name)
        finish(states, stage.name)

    finish(states, "two")
    run_graph(STAGES[::-1], states, launch, say=lambda text: None)
    run_graph(STAGES, states, launch, say=lambda text: None)
    assert ran == ["one", "three"]


def test_a_stage_whose_needs_are_neither_done_nor_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="three needs one, two, which are not done"):
        run_graph(STAGES[2:], StageStates(tmp_path), lambda stage, lock: None)


def test_a_stage_that_comes_back_undone_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="one ended without being done"):
        run_graph(STAGES[:1], StageStates(tmp_path), lambda stage, lock: None, say=lambda text: None)


def test_what_another_process_holds_is_waited_for_and_then_gone_past(tmp_path: Path) -> None:
    states, waited = StageStates(tmp_path), []
    holder = states.locked("one")
    holder.__enter__()
    assert states.is_running("one")

    def wait() -> None:
        waited.append(True)
        finish(states, "one")
        holder.__exit__(None, None, None)

    ran: list[str] = []

    def launch(stage: Stage, lock: int) -> None:
        ran.append(stage.name)
        finish(states, stage.name)

    run_graph(STAGES, states, launch, say=lambda text: None, wait=wait)
    assert waited == [True]
    assert ran == ["two", "three"]


def test_a_process_that_inherits_the_lock_holds_the_stage_when_its_parent_is_gone(tmp_path: Path) -> None:
    states = StageStates(tmp_path)
    with states.locked("one") as lock:
        assert lock is not None
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    try:
        assert states.is_running("one")
    finally:
        child.communicate(b"\n")
    assert not states.is_running("one")


def test_a_killed_run_counts_and_only_one_that_ends_well_is_done(tmp_path: Path) -> None:
    states = StageStates(tmp_path)
    with pytest.raises(KeyboardInterrupt), states.timed("one", {"steps": 3}):
        raise KeyboardInterrupt
    record = states.read("one")
    assert record is not None
    assert (record.done, record.runs) == (False, 1)
    with states.timed("one", {"steps": 3}):
        assert not states.is_done("one")
    record = states.read("one")
    assert record is not None
    assert (record.done, record.runs) == (True, 2)
    with (
        pytest.raises(StageError, match="one was begun with other values of steps"),
        states.timed("one", {"steps": 4}),
    ):
        pytest.fail("must not run")


def test_a_stages_process_writes_to_its_log_and_a_bad_status_names_it(tmp_path: Path) -> None:
    states = StageStates(tmp_path)
    with states.locked("one") as lock:
        assert lock is not None
        launch_process(states, "one", "platform", ["terse"], 1, lock)
        assert states.log("one").read_text().strip()
        with pytest.raises(StageError, match=r"one failed with status 1; see .*one\.log"):
            launch_process(states, "one", "no.such.module", [], 1, lock)
