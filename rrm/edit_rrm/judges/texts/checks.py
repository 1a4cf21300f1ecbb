"""What the JSON of a foreign model's answer says about principles: checks of one each, and lists of verdicts.

Which check is on which principle, and what counts where they differ, is decided in `stated_verdicts`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edit_rrm.errors import TraceError
from edit_rrm.judges.texts.sloppy_json import Array, Block, Object, Scalar, Value
from edit_rrm.judges.texts.wording import (
    CATEGORY_KEYS,
    EVIDENCE_KEYS,
    NUMBER_KEYS,
    QUESTION_KEYS,
    VERDICT_KEYS,
    category_of,
    first_of,
    key_of,
    leading_ordinal,
    lists_verdicts,
    met_of,
    ordinal_of,
    plain,
)
from edit_rrm.principles import Category, Principle, count_by_category

# A list in the prose may be a box, a colour or a count: alone on its line, or named, it is one of verdicts.
_NAMED_BEFORE = re.compile(
    r"(?:\A|\n|```\w{0,10})[ \t>*#_-]*\Z"
    r"|(?:score|verdict|judge?ment|result|answer|correct\w*|revis\w*|final|判断|判定|结论|结果|评分)"
    r"\w{0,3}[ \t*_]*[:：=]?[ \t*_]*\Z",
    re.IGNORECASE,
)
_ALONE_AFTER = re.compile(r"[ \t*_.]*(?:\n|\Z|<score>|```)", re.IGNORECASE)
_LOOK_AROUND = 80
_NO_COMMAS = re.compile(r"[01](?:[ \t]+[01])+")


@dataclass(frozen=True)
class Check:
    """What an answer says about one principle; `ordinal` (from 1), `question`, `category` tell which."""

    verdict: Scalar
    ordinal: int | None = None
    question: str = ""
    evidence: str = ""
    category: Category | None = None
    block: int = 0


class CheckReader:
    """Reads the blocks of one text by what is asked: as many verdicts as principles, by their questions."""

    def __init__(self, text: str, principles: Sequence[Principle]) -> None:
        self._text = text
        self._principles = principles
        self._count = len(principles)
        self._questions = {plain(principle.question) for principle in principles} - {""}
        self._category_sizes = count_by_category(principles)

    def checks(self, value: Value, name: str = "", category: Category | None = None) -> Iterator[Check]:
        """The checks below a value that stands under the key `name`, in the order of the text."""
        if isinstance(value, Array):
            for item in value.items:
                yield from self.checks(item, category=category)
        elif isinstance(value, Object):
            nested = [
                check
                for key, item in value.pairs
                for check in self.checks(item, key, _named_category(key) or category)
            ]
            if nested:
                yield from nested
            elif not any(
                isinstance(item, Array) and lists_verdicts(key_of(key)) for key, item in value.pairs
            ):
                yield from self._own_checks(value, name, category)

    def _own_checks(self, value: Object, name: str, category: Category | None) -> Iterator[Check]:
        """The check that an object is, or those of an object such as {"1": 0, "2": 1}."""
        scalars = {key_of(key): item for key, item in value.pairs if isinstance(item, Scalar)}
        pairs = [(key, item) for key, item in value.pairs if isinstance(item, Scalar)]
        if pairs and all(ordinal_of(key) is not None for key, _ in pairs):
            yield from (Check(item, ordinal_of(key), category=category) for key, item in pairs)
            return
        if pairs and all(plain(key) in self._questions for key, _ in pairs):
            yield from (Check(item, None, key) for key, item in pairs)
            return
        verdict = self._own_verdict(pairs)
        if verdict is None:
            return
        question, evidence = (first_of(scalars, keys) for keys in (QUESTION_KEYS, EVIDENCE_KEYS))
        stated = first_of(scalars, CATEGORY_KEYS)
        numbers = (ordinal_of(scalars[key].text) for key in NUMBER_KEYS if key in scalars)
        ordinal = next((number for number in numbers if number is not None), ordinal_of(name))
        asked = question.text if question else name if plain(name) in self._questions else ""
        if ordinal is None:
            ordinal = leading_ordinal(asked)
        if ordinal is not None or asked or evidence is not None:
            own = category_of(stated.text) if stated is not None and len(stated.text) < 60 else None
            yield Check(verdict, ordinal, asked, evidence.text.strip() if evidence else "", own or category)

    def _own_verdict(self, pairs: Sequence[tuple[str, Scalar]]) -> Scalar | None:
        """The first of a check's verdicts that is one, by the order of the keys; where none is, the first."""
        named = [(key_of(key), item) for key, item in pairs]
        stated = [item for wanted in VERDICT_KEYS for key, item in named if key == wanted]
        plain_ones = [item for item in stated if met_of(item.text) is not None]
        if len({met_of(item.text) for item in plain_ones}) > 1:
            raise TraceError("a check whose verdicts contradict each other", self._text)
        return next(iter(plain_ones or stated), None)

    def lists(self, block: Block) -> list[list[Check]]:
        """Every list of plain verdicts on all principles: outermost, or under a key such as "scores"."""
        if isinstance(block.value, Array) and self._stands_in_prose(block):
            return []
        found = []
        for value in _verdict_lists(block.value, "scores"):
            items = self._of_categories(value) if isinstance(value, Object) else _flat(value)
            if len(items) == self._count and all(met_of(item.text) is not None for item in items):
                found.append([Check(item) for item in items])
        return found

    def _stands_in_prose(self, block: Block) -> bool:
        before = self._text[max(0, block.start - _LOOK_AROUND) : block.start]
        after = self._text[block.end : block.end + _LOOK_AROUND]
        return _NAMED_BEFORE.search(before) is None or _ALONE_AFTER.match(after) is None

    def _of_categories(self, value: Object) -> list[Scalar]:
        """The verdicts of {"follow": [1, 0], "keep": [1]}, in the order of the principles."""
        lists = [(_named_category(key), item) for key, item in value.pairs if isinstance(item, Array)]
        rows = {category: _flat(item) for category, item in lists if category is not None}
        sizes = {category: size for category, size in self._category_sizes.items() if size}
        if len(rows) != len(lists) or {c: len(row) for c, row in rows.items()} != sizes:
            return []
        return [rows[principle.category].pop(0) for principle in self._principles]


def _named_category(key: str) -> Category | None:
    return category_of(key) if len(key) < 60 and ordinal_of(key) is None else None


def _verdict_lists(value: Value, name: str) -> Iterator[Array | Object]:
    """What may list verdicts, by the key it stands under; nothing within a check or a list of several."""
    if isinstance(value, Scalar):
        return
    if lists_verdicts(name):
        yield value
    if isinstance(value, Array):
        if len(value.items) == 1:
            yield from _verdict_lists(value.items[0], "")
    elif not any(key_of(key) in NUMBER_KEYS for key, _ in value.pairs):
        for key, item in value.pairs:
            if ordinal_of(key) is None:
                yield from _verdict_lists(item, key_of(key))


def _flat(value: Array) -> list[Scalar]:
    """The scalars of a list, also of one whose commas were forgotten: [1 0 1]."""
    if (
        len(value.items) == 1
        and isinstance(only := value.items[0], Scalar)
        and _NO_COMMAS.fullmatch(only.text)
    ):
        return [Scalar(word[0], only.start + word.start()) for word in re.finditer("[01]", only.text)]
    scalars = [item for item in value.items if isinstance(item, Scalar)]
    return scalars if len(scalars) == len(value.items) else []
