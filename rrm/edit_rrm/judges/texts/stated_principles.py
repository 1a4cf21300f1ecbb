"""Principles out of a foreign VLM's decomposition: JSON, or lines of the form "category: question"."""

import re
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from edit_rrm.errors import DecompositionError
from edit_rrm.judges.texts.sloppy_json import Array, Object, Scalar, Value, ends_open, find_blocks
from edit_rrm.judges.texts.thinking import answer_start
from edit_rrm.judges.texts.wording import (
    CATEGORY_KEYS,
    QUESTION_KEYS,
    category_of,
    first_of,
    key_of,
    ordinal_of,
    plain,
)
from edit_rrm.judges.trained import MAX_PRINCIPLES
from edit_rrm.principles import Category, Principle, numbered

_PRINCIPLE_LINE = re.compile(
    r"(?:[-*•]|[0-9]{1,3}[.)、])?[ \t]*[\[(*【（]*"
    r"(?P<category>[A-Za-z][A-Za-z &_-]{2,40}|[\u4e00-\u9fff]{2,8})[\])*:：】）]+[ \t]*"
    r"(?P<question>\S.*)"
)


def read_principles(text: str, *, opened: bool | None = None, whole: bool = False) -> tuple[Principle, ...]:
    """Principles p1 to pn: at most `MAX_PRINCIPLES`, every category present, repeated questions dropped.

    Of several JSON answers the last that covers all categories counts; without JSON, lines of the form
    "category: question" are read. `opened` as of `answer_start`, `whole` as of `read_answer`: JSON that is
    still open at the end of a text that is not known to be whole was cut. Raises DecompositionError.
    """
    start = answer_start(text, DecompositionError, opened=opened)
    blocks = find_blocks(text, start)
    if not whole and ends_open(text, blocks):
        raise DecompositionError("the JSON ends before it is closed", text)
    answers = [list(_questions(block.value, "")) for block in blocks]
    complete = [pairs for pairs in answers if {category_of(name) for name, _ in pairs} >= set(Category)]
    pairs = complete[-1] if complete else [pair for pairs in answers for pair in pairs]
    return _principle_set(pairs or list(_question_lines(text[start:])), text)


def _questions(value: Value, category: str) -> Iterator[tuple[str, str]]:
    """(category as written, question) pairs; `category` is that of the key above, if it names one."""
    if isinstance(value, Array):
        for item in value.items:
            if isinstance(item, Scalar) and category:
                yield category, item.text
            else:
                yield from _questions(item, category)
    elif isinstance(value, Object):
        scalars = {key_of(key): item for key, item in value.pairs if isinstance(item, Scalar)}
        question, named = (first_of(scalars, keys) for keys in (QUESTION_KEYS, CATEGORY_KEYS))
        if question is not None and len(scalars) == len(value.pairs) and (named is not None or category):
            yield named.text if named is not None else category, question.text
            return
        for key, item in value.pairs:
            below = key if category_of(key) else category
            if not isinstance(item, Scalar):
                yield from _questions(item, below)
            elif category_of(key) or (category and ordinal_of(key) is not None):
                yield below, item.text


def _question_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _PRINCIPLE_LINE.fullmatch(line.strip())
        if match is not None and category_of(match["category"]):
            yield match["category"], match["question"]


def _principle_set(pairs: Sequence[tuple[str, str]], text: str) -> tuple[Principle, ...]:
    if not pairs:
        raise DecompositionError("no principle with a category and a question", text)
    kept: dict[str, tuple[Category, str]] = {}
    for name, question in pairs:
        category = category_of(name)
        if category is None:
            raise DecompositionError(f"unknown category {name[:40]!r} of {question[:80]!r}", text)
        printable = "".join(character if character.isprintable() else " " for character in question)
        kept.setdefault(plain(question), (category, " ".join(printable.split())))
    if len(kept) > MAX_PRINCIPLES:
        raise DecompositionError(f"at most {MAX_PRINCIPLES} principles, got {len(kept)}", text)
    missing = [category.value for category in Category if category not in {c for c, _ in kept.values()}]
    if missing:
        raise DecompositionError(f"no principle of category {', '.join(missing)}", text)
    try:
        return numbered(kept.values())
    except ValidationError as error:
        raise DecompositionError(f"a question is empty or too long: {error}", text) from error
