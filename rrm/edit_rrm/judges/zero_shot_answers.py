"""Φ for the zero-shot profile: verdicts and score, or principles, out of a foreign VLM's JSON.

Tolerant about form, never about substance: a verdict that is missing or cannot be assigned to its
principle, or a score that is not plainly stated, is an error.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.judges.sloppy_json import Array, Block, Object, Scalar, Value, find_blocks
from edit_rrm.judges.trained import MAX_PRINCIPLES
from edit_rrm.principles import Category, Principle, numbered
from edit_rrm.traces import MAX_SCORE, Trace, Verdict

_VERDICT_KEYS = ("verdict", "score", "met", "result", "answer", "judgement", "judgment", "value", "passed")
_NUMBER_KEYS = ("principle", "number", "id", "principle_id", "principle_number", "index", "no", "question_id")
_QUESTION_KEYS = ("question", "principle", "principle_text", "text", "criterion", "check", "description")
_EVIDENCE_KEYS = ("reasoning", "reason", "evidence", "explanation", "analysis", "rationale", "justification")
_CATEGORY_KEYS = ("category", "type", "dimension", "aspect", "group")
_VERDICT_LIST_KEY = re.compile(r"score|verdict|judg|result|answer")

_MET = frozenset({"1", "1.0", "true", "yes", "met", "pass", "passed", "satisfied"})
_NOT_MET = frozenset(
    {"0", "0.0", "false", "no", "not met", "unmet", "fail", "failed", "not satisfied", "unsatisfied"}
    | {"uncertain", "unsure", "unclear", "unknown", "partial", "partially", "partially met", "partly met"}
)
_CATEGORY_WORDS = (
    (Category.FOLLOW, ("follow", "instruction", "adherence", "compliance")),
    (Category.KEEP, ("keep", "preserv", "consisten", "retention", "retain", "unchanged", "fidelity")),
    (Category.QUALITY, ("quality", "aesthetic", "realis", "natural", "artifact", "artefact", "plausib")),
)
_ORDINAL = re.compile(r"(?:principle|question|check|item|p|q)?[\s_#.-]{0,3}([0-9]{1,4})[.:)]?", re.IGNORECASE)
_LEADING_ORDINAL = re.compile(r"\s*([0-9]{1,4})[.:)]\s")

# Only the bare tag: with a space after "<" it is one that `neutralise` broke in untrusted text.
_SCORE_TAG = re.compile(r"<score>", re.IGNORECASE)
_SCORE_VALUE = re.compile(
    r"[\s*]*(?P<score>-?[0-9]{1,9}(?:[.,][0-9]{1,9})?)(?:\s*(?:/|out of)\s*10(?:\.0)?)?[\s*]*(?=[<\n\"']|\Z)"
)
_PRINCIPLE_LINE = re.compile(
    r"(?:[-*•]|[0-9]{1,3}[.)])?[ \t]*[\[(*]*(?P<category>[A-Za-z][A-Za-z _-]{2,40})[\])*:]+[ \t]*"
    r"(?P<question>\S.*)"
)
# Anywhere but at the start of the text or of a line, the tags are an echo in somebody's reasoning.
_THOUGHT = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)|^[ \t]*</think>", re.DOTALL | re.MULTILINE)


def read_trace(text: str, principles: Sequence[Principle]) -> Trace:
    """The verdict on each principle, and the last score stated after the verdicts.

    A check is assigned to its principle by number, else by its question, else by order. When one
    principle is checked twice the later check counts; a check's own verdict goes before the list of
    verdicts, which fills what the checks leave open. Verdicts written out are `_MET` and `_NOT_MET`,
    where uncertain is not met. Raises TraceError.
    """
    blocks = find_blocks(text, _answer_start(text))
    telling = [block for block in blocks if _speaks_of_verdicts(block.value, len(principles))]
    if not telling:
        raise TraceError(f"no JSON with verdicts on {len(principles)} principles", text)
    found = _assigned([check for block in telling for check in _checks(block.value)], principles, text)
    for listed in _verdict_lists([block.value for block in telling], len(principles))[-1:]:
        for index, check in enumerate(listed):
            found.setdefault(index, check)
    missing = [str(index + 1) for index in range(len(principles)) if index not in found]
    if missing:
        raise TraceError(f"no verdict on principle {', '.join(missing)} of {len(principles)}", text)
    verdicts = tuple(_verdict(found[index], index + 1, text) for index in range(len(principles)))
    return Trace(verdicts, _final_score(text, blocks, telling[-1]), text)


def read_principles(text: str) -> tuple[Principle, ...]:
    """Principles p1 to pn: at most `MAX_PRINCIPLES`, every category present, repeated questions dropped.

    Of several JSON answers the last that covers all categories counts; without JSON, lines of the form
    "category: question" are read. Raises DecompositionError.
    """
    start = _answer_start(text)
    answers = [list(_questions(block.value, "")) for block in find_blocks(text, start)]
    complete = [pairs for pairs in answers if {_category(name) for name, _ in pairs} >= set(Category)]
    pairs = complete[-1] if complete else [pair for pairs in answers for pair in pairs]
    return _principle_set(pairs or list(_question_lines(text[start:])), text)


@dataclass(frozen=True)
class _Check:
    """What an answer says about one principle; `ordinal` (from 1) and `question` tell which, where given."""

    verdict: Scalar
    ordinal: int | None = None
    question: str = ""
    evidence: str = ""


def _answer_start(text: str) -> int:
    """Where the answer begins: after the thinking that some models write first; unfinished, it is all."""
    thought = _THOUGHT.search(text)
    return thought.end() if thought else 0


def _speaks_of_verdicts(value: Value, count: int) -> bool:
    return next(_checks(value), None) is not None or bool(_verdict_lists([value], count))


def _checks(value: Value, name: str = "") -> Iterator[_Check]:
    """The checks below a value that stands under the key `name`, in the order of the text."""
    if isinstance(value, Array):
        for item in value.items:
            yield from _checks(item)
    elif isinstance(value, Object):
        nested = [check for key, item in value.pairs for check in _checks(item, key)]
        if nested:
            yield from nested
        elif not any(
            isinstance(item, Array) and _VERDICT_LIST_KEY.search(_key(key)) for key, item in value.pairs
        ):
            yield from _own_checks(value, name)


def _own_checks(value: Object, name: str) -> Iterator[_Check]:
    """The check that an object is, or those of an object such as {"1": 0, "2": 1}."""
    scalars = {_key(key): item for key, item in value.pairs if isinstance(item, Scalar)}
    verdict = _first(scalars, _VERDICT_KEYS)
    if verdict is None:
        ordinals = [_ordinal(key) for key in scalars]
        if scalars and None not in ordinals:
            yield from (
                _Check(item, ordinal) for item, ordinal in zip(scalars.values(), ordinals, strict=True)
            )
        return
    question, evidence = (_first(scalars, keys) for keys in (_QUESTION_KEYS, _EVIDENCE_KEYS))
    numbers = (_ordinal(scalars[key].text) for key in _NUMBER_KEYS if key in scalars)
    ordinal = next((number for number in numbers if number is not None), _ordinal(name))
    if ordinal is None and question is not None and (leading := _LEADING_ORDINAL.match(question.text)):
        ordinal = int(leading[1])
    if ordinal is not None or question is not None or evidence is not None:
        yield _Check(
            verdict, ordinal, question.text if question else "", evidence.text.strip() if evidence else ""
        )


def _verdict_lists(values: Sequence[Value], count: int) -> list[list[_Check]]:
    """Every list of `count` plain verdicts: an outermost one, or one under a key such as "scores"."""
    lists = []
    for name, array in (named for value in values for named in _arrays(value, "scores")):
        scalars = [item for item in array.items if isinstance(item, Scalar) and _met(item) is not None]
        if len(scalars) == len(array.items) == count and _VERDICT_LIST_KEY.search(name):
            lists.append([_Check(scalar) for scalar in scalars])
    return lists


def _arrays(value: Value, name: str) -> Iterator[tuple[str, Array]]:
    if isinstance(value, Array):
        yield name, value
        for item in value.items:
            yield from _arrays(item, "")
    elif isinstance(value, Object):
        for key, item in value.pairs:
            yield from _arrays(item, _key(key))


def _assigned(checks: Sequence[_Check], principles: Sequence[Principle], text: str) -> dict[int, _Check]:
    """The checks by the index of their principle."""
    count = len(principles)
    ordinals = {check.ordinal for check in checks}
    first = 0 if 0 in ordinals and count not in ordinals else 1
    by_question = {
        _plain(principle.question): index for index, principle in reversed(list(enumerate(principles)))
    }
    found: dict[int, _Check] = {}
    unnamed = []
    for check in checks:
        index = by_question.get(_plain(check.question)) if check.ordinal is None else check.ordinal - first
        if index is None:
            unnamed.append(check)
        elif 0 <= index < count:
            found[index] = check
        else:
            raise TraceError(f"a verdict on principle {check.ordinal}, but there are {count}", text)
    if not unnamed:
        return found
    if found or len(unnamed) % count:
        raise TraceError(f"{len(unnamed)} verdicts name none of the {count} principles", text)
    return dict(enumerate(unnamed[-count:]))


def _verdict(check: _Check, ordinal: int, text: str) -> Verdict:
    met = _met(check.verdict)
    if met is None:
        raise TraceError(
            f"the verdict on principle {ordinal} is neither 0 nor 1: {check.verdict.text[:40]!r}", text
        )
    written = check.verdict.text
    position = check.verdict.start + len(written) - len(written.lstrip())
    return Verdict(met, check.evidence, position if text[position] in "01" else None)


def _met(scalar: Scalar) -> bool | None:
    word = " ".join(re.split(r"[\s_-]+", scalar.text.strip(" \t\n.!*").lower()))
    return True if word in _MET else False if word in _NOT_MET else None


def _final_score(text: str, blocks: Sequence[Block], last_verdicts: Block) -> float:
    """The last score tag's value. A tag inside JSON counts only as the whole of a string named a score."""
    named = {start for block in blocks for start in _score_strings(block.value)}
    starts = [block.start for block in blocks]
    tags = [
        tag
        for tag in _SCORE_TAG.finditer(text, last_verdicts.start)
        if tag.start() in named or tag.start() >= blocks[bisect_right(starts, tag.start()) - 1].end
    ]
    if not tags:
        raise TraceError("no <score> after the verdicts", text)
    stated = _SCORE_VALUE.match(text, tags[-1].end())
    if stated is None and len(tags) > 1:  # <score>8<score>: the last tag was meant to close the one before
        stated = _SCORE_VALUE.match(text, tags[-2].end())
        if stated is not None and stated.end() != tags[-1].start():
            stated = None
    if stated is None:
        shown = text[tags[-1].end() : tags[-1].end() + 40]
        raise TraceError(f"expected a number from 0 to {MAX_SCORE:g} after <score>, got {shown!r}", text)
    score = float(stated["score"].replace(",", "."))
    if not 0.0 <= score <= MAX_SCORE:
        raise TraceError(f"the score {score:g} lies outside [0, {MAX_SCORE:g}]", text)
    return abs(score)  # not -0.0


def _score_strings(value: Value) -> Iterator[int]:
    if isinstance(value, Array):
        for item in value.items:
            yield from _score_strings(item)
    elif isinstance(value, Object):
        for key, item in value.pairs:
            if not isinstance(item, Scalar):
                yield from _score_strings(item)
            elif "score" in _key(key) and _SCORE_TAG.match(item.text):
                yield item.start


def _questions(value: Value, category: str) -> Iterator[tuple[str, str]]:
    """(category as written, question) pairs; `category` is that of the key above, if it names one."""
    if isinstance(value, Array):
        for item in value.items:
            if isinstance(item, Scalar) and category:
                yield category, item.text
            else:
                yield from _questions(item, category)
    elif isinstance(value, Object):
        scalars = {_key(key): item for key, item in value.pairs if isinstance(item, Scalar)}
        question, named = (_first(scalars, keys) for keys in (_QUESTION_KEYS, _CATEGORY_KEYS))
        if question is not None and len(scalars) == len(value.pairs) and (named is not None or category):
            yield named.text if named is not None else category, question.text
            return
        for key, item in value.pairs:
            below = key if _category(key) else category
            if not isinstance(item, Scalar):
                yield from _questions(item, below)
            elif _category(key) or (category and _ordinal(key) is not None):
                yield below, item.text


def _question_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _PRINCIPLE_LINE.fullmatch(line.strip())
        if match is not None and _category(match["category"]):
            yield match["category"], match["question"]


def _principle_set(pairs: Sequence[tuple[str, str]], text: str) -> tuple[Principle, ...]:
    if not pairs:
        raise DecompositionError("no principle with a category and a question", text)
    kept: dict[str, tuple[Category, str]] = {}
    for name, question in pairs:
        category = _category(name)
        if category is None:
            raise DecompositionError(f"unknown category {name[:40]!r} of {question[:80]!r}", text)
        printable = "".join(character if character.isprintable() else " " for character in question)
        kept.setdefault(_plain(question), (category, " ".join(printable.split())))
    if len(kept) > MAX_PRINCIPLES:
        raise DecompositionError(f"at most {MAX_PRINCIPLES} principles, got {len(kept)}", text)
    missing = [category.value for category in Category if category not in {c for c, _ in kept.values()}]
    if missing:
        raise DecompositionError(f"no principle of category {', '.join(missing)}", text)
    try:
        return numbered(kept.values())
    except ValidationError as error:
        raise DecompositionError(f"a question is empty or too long: {error}", text) from error


def _category(name: str) -> Category | None:
    lower = name.lower()
    return next(
        (category for category, words in _CATEGORY_WORDS if any(word in lower for word in words)), None
    )


def _key(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _plain(question: str) -> str:
    """A question as two spellings of it are compared: letters and digits, without its number."""
    return "".join(c for c in _LEADING_ORDINAL.sub("", question, count=1).casefold() if c.isalnum())


def _ordinal(text: str) -> int | None:
    match = _ORDINAL.fullmatch(text.strip())
    return int(match[1]) if match else None


def _first(scalars: Mapping[str, Scalar], keys: Sequence[str]) -> Scalar | None:
    return next((scalars[key] for key in keys if key in scalars), None)
