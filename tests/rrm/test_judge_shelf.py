"""Judges by name: our own, those of other packages, files, and what a checkpoint brings along."""

from pathlib import Path
from typing import Any

import pytest
from judge_contents import TWO_ASKS

from edit_rrm import plugins
from edit_rrm.checkpoint import RRMCard
from edit_rrm.errors import JudgeError
from edit_rrm.judges import shelf
from edit_rrm.judges.shelf import chosen_judge, find_judge, judge_names
from edit_rrm.judges.spec import JudgeSpec
from edit_rrm.judges.written import WrittenJudge

OURS = ("trained", "zero_shot", "digit", "principles_yes_no", "three_scores", "verdicts_only")
CARD = RRMCard(name="card", profile="trained", trace_format="1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "mine.json").write_text(JudgeSpec.model_validate(TWO_ASKS).model_dump_json())
    return tmp_path / "mine.json"


def register(monkeypatch: pytest.MonkeyPatch, **found: Any) -> None:
    monkeypatch.setattr(plugins, "names", lambda group: tuple(sorted(found)))
    monkeypatch.setattr(shelf.plugins, "load", lambda group, name: found[name])


def test_our_own_judges_are_there_and_can_be_asked() -> None:
    assert judge_names()[: len(OURS)] == OURS
    for name in OURS:
        judge = find_judge(name)
        assert judge.name == name
        assert judge.asks("make it blue", (), 1) or judge.needs_principles


def test_our_own_files_tell_what_they_are() -> None:
    for name in OURS[2:]:
        judge = find_judge(name)
        assert isinstance(judge, WrittenJudge)
        assert judge.spec.about
        assert judge.version


def test_a_file_is_a_judge_by_its_path(file: Path) -> None:
    assert find_judge(str(file)).name == "two-asks"


def test_a_name_that_nobody_has_is_told_with_those_there_are() -> None:
    with pytest.raises(JudgeError, match=r"no judge 'editscore'.*trained, zero_shot, digit"):
        find_judge("editscore")
    with pytest.raises(JudgeError, match=r"none/judge\.toml"):
        find_judge("none/judge.toml")


def test_another_package_registers_a_judge_a_spec_or_a_file(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    spec = JudgeSpec.model_validate(TWO_ASKS)
    whole = WrittenJudge(spec)
    register(monkeypatch, whole=whole, spec=spec, file=file, path=str(file), wrong=3)
    assert {"whole", "spec", "file", "path"} <= set(judge_names())
    assert find_judge("whole") is whole
    assert [find_judge(name).version for name in ("spec", "file", "path")] == [spec.version] * 3
    with pytest.raises(JudgeError, match="the judge 'wrong' is a int"):
        find_judge("wrong")


def test_a_checkpoint_is_judged_by_what_is_wanted_then_by_its_file_then_by_its_card(
    tmp_path: Path, file: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for folder in (checkpoint, None):
        assert chosen_judge(folder, CARD) is None
    file.rename(checkpoint / "judge.json")
    beside, wanted = chosen_judge(checkpoint, CARD), chosen_judge(checkpoint, CARD, "digit")
    assert beside is not None
    assert beside.name == "two-asks"
    assert wanted is not None
    assert wanted.name == "digit"
    assert chosen_judge(checkpoint, CARD, "trained") is None


@pytest.mark.parametrize("name", ["trained", "zero_shot", "digit", "principles_yes_no", "verdicts_only"])
def test_no_grammar_stands_between_a_model_and_its_probabilities(name: str) -> None:
    """Under one they would be those of what the grammar lets be written."""
    assert [kind.json_schema for kind in find_judge(name).kinds] == [None]
