"""The exemplar pool is worth showing, and draws from it are repeatable and varied."""

import json
from collections import Counter
from typing import get_args

import pytest
from pydantic import ValidationError

from edit_rrm.judges.exemplars import EditCategory, Exemplar, draw_exemplars, exemplar_pool
from edit_rrm.judges.zero_shot import ZeroShotProfile
from edit_rrm.principles import Category
from edit_rrm.untrusted_text import neutralise

POOL = exemplar_pool()
IDS = [f"{index}: {exemplar.instruction[:30]}" for index, exemplar in enumerate(POOL)]


def test_the_pool_covers_every_edit_category_at_least_twice() -> None:
    counts = Counter(exemplar.category for exemplar in POOL)
    assert len(POOL) >= 26
    assert set(counts) == set(get_args(EditCategory))
    assert len(counts) == 11
    assert min(counts.values()) >= 2


@pytest.mark.parametrize("exemplar", POOL, ids=IDS)
def test_every_principle_is_a_single_question_said_once(exemplar: Exemplar) -> None:
    questions = [question for category in Category for question in exemplar.questions(category)]
    assert 8 <= len(questions) <= 11
    assert len({question.casefold() for question in questions}) == len(questions)
    for question in questions:
        assert question[0].isupper(), question
        assert question.count("?") == 1, question
        assert question.endswith("?"), question
        assert 15 <= len(question) <= 140, question
        assert question.split()[0] in {"Is", "Are", "Do", "Does", "Has", "Have", "Can"}, question


@pytest.mark.parametrize("exemplar", POOL, ids=IDS)
def test_every_exemplar_is_a_decomposition_that_the_parser_accepts(exemplar: Exemplar) -> None:
    written = {category.value: exemplar.questions(category) for category in Category}
    principles = ZeroShotProfile().parse_principles(json.dumps(written))
    assert [(p.category, p.question) for p in principles] == [
        (category, question) for category in Category for question in exemplar.questions(category)
    ]
    assert neutralise(exemplar.instruction) == exemplar.instruction


def test_no_instruction_source_or_question_is_there_twice() -> None:
    for texts in (
        [exemplar.instruction for exemplar in POOL],
        [exemplar.source for exemplar in POOL],
        [question for exemplar in POOL for category in Category for question in exemplar.questions(category)],
    ):
        repeated = [text for text, count in Counter(texts).items() if count > 1]
        assert repeated == []


def test_the_same_seed_draws_the_same_exemplars() -> None:
    assert draw_exemplars(4, 7) == draw_exemplars(4, 7)
    assert len({draw_exemplars(4, seed) for seed in range(30)}) == 30


@pytest.mark.parametrize("seed", range(25))
def test_no_category_comes_twice_before_each_came_once(seed: int) -> None:
    assert len({exemplar.category for exemplar in draw_exemplars(4, seed)}) == 4
    assert len({exemplar.category for exemplar in draw_exemplars(11, seed)}) == 11
    assert len(set(draw_exemplars(len(POOL), seed))) == len(POOL)


def test_every_exemplar_is_drawn_sooner_or_later() -> None:
    assert {exemplar for seed in range(300) for exemplar in draw_exemplars(4, seed)} == set(POOL)


@pytest.mark.parametrize("count", [-1, 1000])
def test_more_than_there_are_cannot_be_drawn(count: int) -> None:
    with pytest.raises(ValueError, match="exemplars, got"):
        draw_exemplars(count, 0)


def test_an_exemplar_with_too_few_principles_is_refused() -> None:
    with pytest.raises(ValidationError):
        Exemplar.model_validate(POOL[0].model_dump() | {"follow": ("Is it?", "Is it now?")})
