"""A table of judge texts, and how each is read: the verdicts and the score, or a refusal with its reason."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.judges import ZeroShotProfile
from edit_rrm.principles import Category, Principle, numbered

QUESTIONS = {
    Category.FOLLOW: ("Is the car blue?", "Is all of it blue?", "Are there two cars?"),
    Category.KEEP: ("Is the sky the same?", "Is the driver the same?", "Is the framing the same?"),
    Category.QUALITY: ("Is it sharp?", "Is the shadow right?", "Are the seams hidden?"),
}
BY_LETTER = {category.value[0]: category for category in Category}
PROFILE = ZeroShotProfile()


@dataclass(frozen=True)
class JudgeText:
    """One entry of the table; its head says what the fields mean."""

    says: str
    text: str
    principles: str = "fkq"
    opened: bool | None = None
    whole: bool = False
    met: str = ""
    score: float | None = None
    refused: str = ""
    categories: str | None = None
    head_differs: bool = False


with (Path(__file__).parent / "judge_texts.toml").open("rb") as file:
    TABLE = [JudgeText(**entry) for entry in tomllib.load(file)["text"]]
TRACES = [entry for entry in TABLE if entry.categories is None]
DECOMPOSITIONS = [entry for entry in TABLE if entry.categories is not None]


def principles_of(letters: str) -> tuple[Principle, ...]:
    """Each letter's next question."""
    questions = {letter: iter(QUESTIONS[category]) for letter, category in BY_LETTER.items()}
    return numbered([(BY_LETTER[letter], next(questions[letter])) for letter in letters])


def named(entry: JudgeText) -> str:
    return entry.says


def test_the_table_is_large_and_says_nothing_twice() -> None:
    assert len(TABLE) >= 200
    assert len({entry.says for entry in TABLE}) == len(TABLE)
    assert len({(entry.text, entry.principles, entry.opened, entry.whole) for entry in TABLE}) == len(TABLE)
    assert all(bool(entry.refused) != bool(entry.met or entry.categories) for entry in TABLE)


@pytest.mark.parametrize("entry", TRACES, ids=named)
def test_a_judges_text_is_read_as_it_was_meant_or_refused(entry: JudgeText) -> None:
    principles = principles_of(entry.principles)
    if entry.refused:
        with pytest.raises(TraceError, match=entry.refused) as caught:
            PROFILE.parse_answer(entry.text, principles, opened=entry.opened, whole=entry.whole)
        assert caught.value.text == entry.text
        return
    answer = PROFILE.parse_answer(entry.text, principles, opened=entry.opened, whole=entry.whole)
    assert "".join(str(int(verdict.met)) for verdict in answer.verdicts) == entry.met
    assert answer.score == entry.score
    for verdict in answer.verdicts:
        assert verdict.position is None or entry.text[verdict.position] == str(int(verdict.met))


@pytest.mark.parametrize("entry", DECOMPOSITIONS, ids=named)
def test_a_decomposition_is_read_as_it_was_meant_or_refused(entry: JudgeText) -> None:
    if entry.refused:
        with pytest.raises(DecompositionError, match=entry.refused) as caught:
            PROFILE.parse_principles(entry.text, opened=entry.opened, whole=entry.whole)
        assert caught.value.text == entry.text
        return
    found = PROFILE.parse_principles(entry.text, opened=entry.opened, whole=entry.whole)
    assert "".join(principle.category.value[0] for principle in found) == entry.categories
    assert not any(principle.question[0].isdigit() for principle in found if "fenced" not in entry.says)


@pytest.mark.parametrize(
    "entry", [e for e in TRACES if e.score is not None and not e.whole and not e.head_differs], ids=named
)
def test_no_head_of_a_text_is_read_as_another_score(entry: JudgeText) -> None:
    """Cut anywhere, a text is refused, states no score yet, or states what the whole one does."""
    principles = principles_of(entry.principles)
    for end in range(len(entry.text)):
        try:
            head = PROFILE.parse_answer(entry.text[:end], principles, opened=entry.opened)
        except TraceError:
            continue
        assert head.score in (None, entry.score), entry.text[:end]
