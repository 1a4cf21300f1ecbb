"""What a training tells: whether it goes on, the time left, and what to do with what it made."""

import json
from pathlib import Path

import pytest

from edit_rrm_training.cli.story import RunStory
from edit_rrm_training.gcpo.no_gradient import no_step_had_gradient
from edit_rrm_training.runs.settings import SftConfig

SETTINGS = SftConfig(base=Path("b"), out=Path("runs/x"), rows=(Path("r.jsonl"),), steps=10)


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now_s = 0.0
        self.story = RunStory(SETTINGS, self.lines.append, lambda: self.now_s)


def test_the_start_says_whether_it_goes_on() -> None:
    told = Told()
    told.story.begins(None, finished=False)
    told.story.begins(Path("runs/x/checkpoint-4"), finished=False)
    told.story.begins(None, finished=True)
    assert told.lines == [
        "begins in runs/x: 10 steps; after a stop the same command goes on",
        "goes on in runs/x after checkpoint-4, of 10 steps",
        "runs/x is finished already; choose another out, or at a constant rate more steps",
    ]


def test_the_time_left_is_reckoned_from_the_steps_of_this_run_alone() -> None:
    told = Told()
    for step, now_s in ((5, 100.0), (7, 104.0), (10, 110.0)):
        told.now_s = now_s
        told.story.step(step, {"gcpo/reward": 0.51234}, ("gcpo/reward", "loss"))
    assert told.lines == [
        "5 of 10: reward 0.5123",
        "7 of 10: reward 0.5123, about 6 s left",  # 3 steps of 2 s
        "10 of 10: reward 0.5123",
    ]


def test_a_line_of_the_log_without_what_is_shown_says_nothing() -> None:
    told = Told()
    told.story.step(10, {"train_runtime": 3.0}, ("loss",))
    assert told.lines == []


@pytest.mark.parametrize(("took_s", "shown"), [(42.0, "42 s"), (600.0, "10 min"), (9000.0, "2.5 h")])
def test_the_end_says_what_was_made_how_long_it_took_and_what_is_next(took_s: float, shown: str) -> None:
    told = Told()
    told.now_s = took_s
    told.story.ends(Path("runs/x/final"))
    first, *rest = told.lines[0].splitlines()
    assert first == f"finished in {shown}: runs/x/final"
    assert rest[0].endswith("edit-rrm-server serve --model runs/x")
    assert "evaluate-pairs --checkpoint runs/x" in rest[1]


def test_a_run_without_a_gradient_is_not_called_finished() -> None:
    told = Told()
    told.story.taught_nothing()
    (line,) = told.lines
    assert line.startswith(
        "nothing was learned, runs/x has its base's weights: in every step each pair's scores"
    )
    assert "finished" not in line


@pytest.mark.parametrize(
    ("steps", "untaught"),
    [
        ([(1.0, 0.0), (1.0, 0.0)], True),
        ([(1.0, 0.0), (0.75, 0.2)], False),
        ([(1.0, 0.3)], False),  # credit=all_scores learns from scores that were not drawn
        ([], False),
    ],
)
def test_the_log_says_whether_any_step_had_a_gradient(
    tmp_path: Path, steps: list[tuple[float, float]], untaught: bool
) -> None:
    lines = [
        {"step": n, "gcpo/no_gradient": share, "grad_norm": norm} for n, (share, norm) in enumerate(steps)
    ]
    lines.append({"step": len(steps), "train_runtime": 3.0})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert no_step_had_gradient(tmp_path / "log.jsonl") is untaught
    assert not no_step_had_gradient(tmp_path / "elsewhere" / "log.jsonl")


def test_of_several_processes_the_first_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    told = Told()
    told.story.begins(None, finished=False)
    assert told.lines == []
