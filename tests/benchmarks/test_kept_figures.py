"""What the counts' benchmarks keep: figures with their command, and answers compared to the bit."""

import json
import sys
from pathlib import Path

import determinism
import pytest
from rig.figures import bar_met, write_figures
from rig.report import Bar


def test_figures_are_kept_with_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/anywhere/soak.py", "--minutes", "5", "--what", "a b"])
    bar = Bar("lost calls", 0, at_least=False)
    write_figures(tmp_path / "new" / "soak.json", {"calls": 7, "bars": [bar_met(bar, 1)]})
    kept = json.loads((tmp_path / "new" / "soak.json").read_text())
    assert kept["command"] == "benchmarks/soak.py --minutes 5 --what 'a b'"
    assert kept["calls"] == 7
    assert kept["bars"] == [{"what": "lost calls", "measured": 1, "limit": 0, "unit": "", "met": False}]
    assert {"date", "cores", "load_average"} <= kept.keys()


def test_without_a_file_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_figures(None, {"calls": 7})
    assert list(tmp_path.iterdir()) == []


def test_answers_are_compared_to_the_bit() -> None:
    def reading(reward: float, text: str, met: bool, probability: float) -> determinism.Reading:
        return determinism.Reading(reward, text, (True, met), (0.9, probability))

    first = {
        (0, 0): reading(0.5, "a", True, 0.7),
        (0, 1): reading(0.5, "a", True, 0.7),
        (0, 2): reading(0.5, "a", True, 0.7),
        (0, 3): reading(0.5, "a", True, 0.7),
    }
    other = {
        (0, 0): reading(0.5, "a", True, 0.7),
        (0, 1): reading(0.5, "a", True, 0.7000001),  # a probability's last digits
        (0, 2): reading(0.25, "b", False, 0.4),  # another text, and a verdict that turned
    }
    assert determinism.compare("alone", first, other) == determinism.Compared(
        "alone",
        candidates=3,
        lost=1,
        equal_to_the_bit=1,
        other_texts=1,
        verdicts=6,
        turned_verdicts=1,
        largest_difference=0.25,
    )
