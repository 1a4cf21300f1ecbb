"""Judge files: what one may say, and that every mistake is named with its place when the file is read."""

import json
from pathlib import Path
from typing import Any

import pytest
from judge_contents import EACH, PRINCIPLES, TWO_ASKS, changed

from edit_rrm.errors import JudgeError
from edit_rrm.judges.spec import JudgeSpec, judge_file_beside, judge_spec, read_judge_file

USER = "asks.0.messages.1.parts"


def test_a_file_without_mistakes_is_a_judge() -> None:
    spec = judge_spec(TWO_ASKS, "two.toml")
    assert [ask.name for ask in spec.asks] == ["semantics", "quality"]
    assert spec.asks[0].images == ("source", "candidate")
    assert spec.asks[0].slots == {"instruction"}
    assert not spec.needs_principles
    assert not spec.gives_verdicts
    assert not spec.takes_several_sources
    assert spec.passes == 1


def test_a_judge_of_principles_needs_them_and_takes_several_sources() -> None:
    for content in (PRINCIPLES, EACH):
        spec = judge_spec(content, "x")
        assert spec.needs_principles
        assert spec.gives_verdicts
        assert spec.takes_several_sources


def test_a_judge_may_be_told_principles_and_give_numbers() -> None:
    spec = judge_spec(changed(TWO_ASKS, (USER, [{"image": "candidate"}, "{instruction} {principles}"])), "x")
    assert spec.needs_principles
    assert not spec.gives_verdicts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a text", "expected a section: names with values, got 'a text'"),
        ({}, "name is missing: it has no default"),
        (changed(TWO_ASKS, ("colour", "red")), "colour is no field"),
        (changed(TWO_ASKS, ("asks.0.answer.scale", 5)), "asks.0.answer.scale is no field"),
        (changed(TWO_ASKS, ("asks.1.answer.range", [10, 0])), "the lower first, got [10, 0]"),
        (changed(TWO_ASKS, ("name", "two asks")), "name: String should match pattern"),
        (changed(TWO_ASKS, ("asks", [])), "asks: Tuple should have at least 1 item"),
        (changed(TWO_ASKS, ("passes", 0)), "passes: expected at least 1, got 0"),
        (changed(TWO_ASKS, ("sampling.top_k", 0)), "sampling.top_k: expected at least 1, got 0"),
        (changed(TWO_ASKS, ("sampling.temperature", -1)), "sampling.temperature"),
        (changed(TWO_ASKS, ("pictures.max_side", 4)), "pictures.max_side"),
        (changed(TWO_ASKS, ("asks.1.name", "semantics")), "two asks are called 'semantics'"),
        (
            changed(TWO_ASKS, ("asks.1.answer.subscores", ["success"])),
            "two answers give the subscore 'success'",
        ),
        (
            changed(TWO_ASKS, ("asks.0.answer.subscores", ["success", "success"])),
            "two answers give the subscore 'success'",
        ),
        (
            changed(TWO_ASKS, ("subscores.colour", {})),
            "no answer gives the subscore 'colour'; they give success, restraint, clean",
        ),
        (
            changed(TWO_ASKS, ("subscores.success.category", "beauty")),
            "subscores.success.category: expected 'follow', 'keep' or 'quality', got",
        ),
        (
            changed(TWO_ASKS, ("reward", None)),
            "reward is missing: an expression over success, restraint, clean",
        ),
        (changed(TWO_ASKS, ("reward", "mean(success, colour)")), "there is no subscore 'colour'"),
        (changed(TWO_ASKS, ("score", "mean(success, colour)")), "there is no subscore 'colour'"),
        (changed(TWO_ASKS, ("score", "25 * success")), "outside [0, 10]"),
        (changed(TWO_ASKS, ("reward", "10 * success")), "outside [0, 1]"),
        (changed(TWO_ASKS, ("aggregator", "soft")), "an aggregator is for judges of principles"),
        (
            changed(TWO_ASKS, (f"{USER}.2", "Asked for: {prompt}")),
            "there is no slot {prompt}; there are category, count, instruction, number, principles, question "
            "(write {{prompt}} for the text itself)",
        ),
        (changed(TWO_ASKS, (f"{USER}.2", "{question}")), '{question} needs each = "principle"'),
        (changed(TWO_ASKS, (f"{USER}.1", {"image": "source"})), "shows the candidate exactly once"),
        (changed(TWO_ASKS, (f"{USER}.0", {"image": "candidate"})), "shows the candidate exactly once"),
        (changed(TWO_ASKS, (f"{USER}.0", {"image": "mask"})), "parts.0.image: expected 'source', 'sources'"),
        (
            changed(TWO_ASKS, ("asks.0.messages.0.role", "user"), ("asks.0.messages.1.role", "system")),
            "messages are",
        ),
        (changed(TWO_ASKS, ("asks.1.messages.0.role", "system")), "messages are"),
        (changed(TWO_ASKS, ("asks.0.messages.0.role", "assistant")), "messages are"),
        (
            changed(TWO_ASKS, ("asks.0.messages.0.parts", [{"image": "source"}])),
            "images stand in messages of the user",
        ),
        (changed(TWO_ASKS, ("asks.0.each", "principle")), "needs the answer form yes_no"),
        (changed(EACH, ("asks.0.messages.0.parts.1", "Met?")), "needs {question} or {number}"),
        (changed(EACH, ("reward", "answer")), "an aggregator instead of a reward"),
        (changed(EACH, ("aggregator", "model_score")), "model_score needs a score of the model's own"),
        (changed(PRINCIPLES, ("asks.0.messages.0.parts.1", "{instruction}")), "needs {principles}"),
        (
            changed(PRINCIPLES, ("asks", [PRINCIPLES["asks"][0], EACH["asks"][0]])),
            "a judge of principles has one ask",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(content: Any, words: str) -> None:
    with pytest.raises(JudgeError) as caught:
        judge_spec(content, "my/judge.toml")
    assert str(caught.value).startswith("my/judge.toml is no judge: ")
    assert words in str(caught.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(JudgeError) as caught:
        judge_spec(changed(TWO_ASKS, ("colour", "red"), ("passes", 0)), "x")
    assert "colour is no field" in str(caught.value)
    assert "passes: " in str(caught.value)


def test_an_optional_subscore_stands_in_a_function() -> None:
    labelled = {
        "form": "labelled_scores",
        "range": [1, 5],
        "labels": {"clean": ["Clean"]},
        "optional": ["clean"],
    }
    content = changed(TWO_ASKS, ("asks.1.answer", labelled), ("reward", "mean(success, restraint, clean)"))
    assert judge_spec(content, "x").reward == "mean(success, restraint, clean)"
    with pytest.raises(JudgeError, match="'clean' may be left out"):
        judge_spec(changed(content, ("reward", "success * clean")), "x")


def test_braces_around_what_is_no_slot_are_text() -> None:
    text = '{"score": [1], "x": {A}} {{instruction}}'
    ask = judge_spec(changed(TWO_ASKS, (f"{USER}.2", text)), "x").asks[0]
    assert ask.slots == frozenset()


def test_toml_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    toml = """name = "n"
reward = "edit"
[[asks]]
name = "edit"
[[asks.messages]]
role = "user"
parts = [{ image = "candidate" }, "{instruction}"]
[asks.answer]
form = "digit_expectation"
subscore = "edit"
"""
    yaml = """name: n
reward: edit
asks:
- name: edit
  messages: [{role: user, parts: [{image: candidate}, "{instruction}"]}]
  answer: {form: digit_expectation, subscore: edit}
"""
    parts = [{"image": "candidate"}, "{instruction}"]
    content = {
        "name": "n",
        "reward": "edit",
        "asks": [
            {
                "name": "edit",
                "messages": [{"role": "user", "parts": parts}],
                "answer": {"form": "digit_expectation", "subscore": "edit"},
            }
        ],
    }
    for name, text in (("a.toml", toml), ("a.yaml", yaml), ("a.json", json.dumps(content))):
        (tmp_path / name).write_text(text)
    specs = [read_judge_file(tmp_path / name) for name in ("a.toml", "a.yaml", "a.json")]
    assert specs[0] == specs[1] == specs[2]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.toml", None, "none.toml"),
        ("broken.toml", "name = ", "broken.toml"),
        ("broken.json", "{", "broken.json"),
        ("list.json", "[1]", "must hold a table"),
        ("empty.yaml", "", "must hold a table"),
        ("wrong.toml", 'name = "x"', "wrong.toml is no judge: asks is missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(JudgeError) as caught:
        read_judge_file(tmp_path / name)
    assert words in str(caught.value)
    assert name in str(caught.value)


def test_the_judge_file_of_a_checkpoint_lies_beside_it_and_there_is_one(tmp_path: Path) -> None:
    assert judge_file_beside(tmp_path) is None
    (tmp_path / "judge.yaml").touch()
    assert judge_file_beside(tmp_path) == tmp_path / "judge.yaml"
    (tmp_path / "judge.toml").touch()
    with pytest.raises(JudgeError, match=r"holds 2 judge files: judge\.toml, judge\.yaml"):
        judge_file_beside(tmp_path)


def test_a_version_is_of_what_changes_scores() -> None:
    def version(*changes: tuple[str, Any]) -> str:
        return judge_spec(changed(TWO_ASKS, *changes), "x").version

    assert version() == version(("about", "told differently")) == JudgeSpec.model_validate(TWO_ASKS).version
    others = [
        version(("reward", "clean")),
        version((f"{USER}.2", "asked for: {instruction}")),
        version(("asks.1.answer.range", [0, 5])),
        version(("sampling.temperature", 0.5)),
    ]
    assert len({version(), *others}) == 5
