"""The verdict on each principle, out of the JSON of a foreign model's answer.

Tolerant about form, never about substance: a verdict that is missing, that cannot be assigned to its
principle, or that the answer contradicts, is an error. A later verdict replaces an earlier one only as a
second look: in the same JSON after every principle was judged, or in one that the text calls a correction.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from edit_rrm.errors import TraceError
from edit_rrm.judges.texts.checks import Check, CheckReader
from edit_rrm.judges.texts.sloppy_json import Block
from edit_rrm.judges.texts.wording import met_of, plain
from edit_rrm.principles import Category, Principle, count_by_category
from edit_rrm.traces import Verdict

_CORRECTION = re.compile(
    r"(?:\b(?:correct(?:ed|ion)|revis(?:ed|ion)|amended|updated|re-?evaluat(?:ed|ion)|final|on reflection"
    r"|(?:on|after) a second look)"
    r"(?: (?:answer|verdict|score|judge?ment|check|result|version|output|JSON)s?)?"
    r"|更正|修正|纠正|更正后|最终(?:答案|结果|判断))[*_ ]*[:：][*_\s]*(?:```\w{0,10})?\s*\Z",
    re.IGNORECASE,
)
_LOOK_BACK = 80
_SCORE_TAG = re.compile(r"<score>", re.IGNORECASE)


@dataclass(frozen=True)
class Stated:
    """The verdicts, one a principle, and the block of the text that began to state them."""

    verdicts: tuple[Verdict, ...]
    first_block: Block


def read_stated(text: str, blocks: Sequence[Block], principles: Sequence[Principle]) -> Stated:
    """The verdict on each principle that the `blocks` of `text` state. Raises TraceError.

    A check is assigned to its principle by its question, else by its number (within its category, where
    numbering restarts there), else by order. A list of verdicts fills what the checks leave open. What stands
    after a score tag can only repeat what stands before.
    """
    reader, answer = CheckReader(text, principles), _Answer(text, principles)
    telling = []
    for block in blocks:
        checks, lists = list(reader.checks(block.value)), reader.lists(block)
        if checks or lists:
            telling.append((block, checks, lists))
    if not telling:
        raise TraceError(f"no JSON with verdicts on {len(principles)} principles", text)
    verdicts = answer.verdicts(telling)
    before = telling[: answer.count_before_score(telling)]
    if len(before) < len(telling):
        mets = [verdict.met for verdict in verdicts]
        if [verdict.met for verdict in answer.verdicts(before)] != mets:
            raise TraceError("verdicts after the score contradict those before it", text)
    return Stated(verdicts, telling[0][0])


_Telling = tuple[Block, list[Check], list[list[Check]]]


class _Answer:
    """One text, read against its principles."""

    def __init__(self, text: str, principles: Sequence[Principle]) -> None:
        self._text = text
        self._principles = principles
        self._count = len(principles)
        by_question: dict[str, list[int]] = {}
        for index, principle in enumerate(principles):
            by_question.setdefault(plain(principle.question), []).append(index)
        by_question.pop("", None)
        self._by_question = by_question
        self._category_sizes = count_by_category(principles)

    def verdicts(self, telling: Sequence[_Telling]) -> tuple[Verdict, ...]:
        corrects = [False] + [
            _CORRECTION.search(gap[-_LOOK_BACK:]) is not None and _SCORE_TAG.search(gap) is None
            for (one, *_), (other, *_) in pairwise(telling)
            for gap in (self._text[one.end : other.start],)
        ]
        checks = [replace(c, block=n) for n, (_, found, _) in enumerate(telling) for c in found]
        lists = [(n, found) for n, (*_, all_found) in enumerate(telling) for found in all_found]
        stated = self._assigned(checks, corrects)
        listed: dict[int, Check] = {}
        for number, found in lists:
            here = dict(enumerate(found))
            if listed and not corrects[number]:
                self._agree(listed, here, "two lists of verdicts contradict each other")
            listed = here
        self._agree(stated, listed, "a check and the list of verdicts contradict each other")
        whole = {**listed, **stated}
        missing = [str(index + 1) for index in range(self._count) if index not in whole]
        if missing:
            raise TraceError(f"no verdict on principle {', '.join(missing)} of {self._count}", self._text)
        return tuple(self._verdict(whole[index], index + 1) for index in range(self._count))

    def count_before_score(self, telling: Sequence[_Telling]) -> int:
        """How many of the telling blocks stand before the first score tag after the first of them."""
        starts = [block.start for block, *_ in telling]
        for (one, *_), other in zip(telling, [*starts[1:], None], strict=True):
            if tag := _SCORE_TAG.search(self._text, one.end, len(self._text) if other is None else other):
                return bisect_right(starts, tag.start())
        return len(telling)

    def _assigned(self, checks: Sequence[Check], corrects: Sequence[bool]) -> dict[int, Check]:
        """The checks by the index of their principle."""
        places = self._places(checks)
        found: dict[int, Check] = {}
        for index, check in zip(places, checks, strict=True):
            earlier = found.get(index)
            if earlier is not None and not any(corrects[earlier.block + 1 : check.block + 1]):
                if len(found) < self._count:
                    raise TraceError(
                        f"two checks of principle {index + 1} before all were judged", self._text
                    )
                if earlier.block != check.block:
                    self._agree(found, {index: check}, "two checks contradict each other")
            found[index] = check
        return found

    def _places(self, checks: Sequence[Check]) -> list[int]:
        by_question = [self._asked(check) for check in checks]
        known = [index for index in by_question if index is not None]
        if len(known) == len(checks):
            return known
        ordinals = [check.ordinal for check in checks]
        numbers = [number for number in ordinals if number is not None]
        if numbers and len(numbers) == len(checks):
            within = self._within_categories(checks, numbers)
            if within is not None:
                return within
        first = 0 if 0 in numbers and self._count not in numbers else 1
        places, unnamed = [], 0
        for check, asked in zip(checks, by_question, strict=True):
            if asked is not None:
                places.append(asked)
            elif check.ordinal is not None:
                places.append(check.ordinal - first)
                if not 0 <= places[-1] < self._count:
                    raise TraceError(
                        f"a verdict on principle {check.ordinal}, but there are {self._count}", self._text
                    )
            else:
                unnamed += 1
        if not unnamed:
            return places
        if places or unnamed % self._count:
            raise TraceError(f"{unnamed} verdicts name none of the {self._count} principles", self._text)
        return [number % self._count for number in range(unnamed)]

    def _asked(self, check: Check) -> int | None:
        """The principle whose question a check repeats; of several with that question the one it numbers."""
        indexes = self._by_question.get(plain(check.question), []) if check.question else []
        if len(indexes) > 1 and check.ordinal is not None:
            return None
        return indexes[0] if indexes else None

    def _within_categories(self, checks: Sequence[Check], numbers: Sequence[int]) -> list[int] | None:
        """The principles of checks whose numbering restarts with every category, if that is what they do."""
        if len(checks) != self._count or len(set(numbers)) == len(numbers):
            return None
        runs: list[list[int]] = []
        for number in numbers:
            if not runs or number != runs[-1][-1] + 1:
                runs.append([])
            runs[-1].append(number)
        if any(run[0] != 1 for run in runs):
            return None
        categories = [check.category for check in checks]
        named = [category for category in categories if category is not None]
        if len(named) == len(checks):
            if any(named.count(category) != size for category, size in self._category_sizes.items()):
                return None
            rest = {c: [i for i, p in enumerate(self._principles) if p.category is c] for c in Category}
            return [rest[category].pop(0) for category in named]
        groups: list[list[int]] = []
        for index, principle in enumerate(self._principles):
            if not groups or self._principles[groups[-1][-1]].category is not principle.category:
                groups.append([])
            groups[-1].append(index)
        return list(range(self._count)) if [*map(len, runs)] == [*map(len, groups)] else None

    def _agree(self, one: dict[int, Check], other: dict[int, Check], fault: str) -> None:
        for index in sorted(one.keys() & other.keys()):
            if met_of(one[index].verdict.text) != met_of(other[index].verdict.text):
                raise TraceError(f"{fault}: principle {index + 1}", self._text)

    def _verdict(self, check: Check, ordinal: int) -> Verdict:
        written = check.verdict.text
        met = met_of(written)
        if met is None:
            fault = f"the verdict on principle {ordinal} is neither 0 nor 1: {written[:40]!r}"
            raise TraceError(fault, self._text)
        position = check.verdict.start + len(written) - len(written.lstrip())
        digit = self._text[position : position + 1] == str(int(met))
        return Verdict(met, check.evidence, position if digit else None)
