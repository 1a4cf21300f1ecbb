"""The final score that a foreign model's answer states after its verdicts.

The tag that was asked for goes before every other form; of several statements all must say the same, for one
of them may be lettering of the picture. None where the answer states no score: some aggregators need none.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence, Set

from edit_rrm.errors import TraceError
from edit_rrm.judges.texts.sloppy_json import Array, Block, Object, Scalar, Value
from edit_rrm.judges.texts.wording import key_of, lists_verdicts, not_stated
from edit_rrm.traces import MAX_SCORE

# Only the bare tag: with a space after "<" it is one that `neutralise` broke in untrusted text.
_SCORE_TAG = re.compile(r"<score>", re.IGNORECASE)
_CLOSING_TAG = re.compile(r"\s*<[\\/]{1,2}score>", re.IGNORECASE)
_VALUE = (
    r"[\s*]*(?:\\boxed\{\s*)?(?P<score>-?[0-9０-９]{1,9}(?:[.,．][0-9０-９]{1,9})?)"
    r"(?:\s?(?:points?|pts\.?|分))?(?:[\s*]*(?:[/／]|out of)\s*(?:10|１０)(?:\.0)?(?!\d))?"
    r"(?:\s?(?:points?|pts\.?|分))?[ \t*}.。]*"
)
_TAG_VALUE = re.compile(rf"{_VALUE}(?=[<\n\"'`])", re.IGNORECASE)
_LAST_TAG_VALUE = re.compile(rf"{_VALUE}(?=[<\n\"'`]|\Z)", re.IGNORECASE)
_SAYS_NONE = re.compile(r"[\s*]*(?P<word>[A-Za-z/?无不适用-]{1,8})[\s*]*(?=</score>)", re.IGNORECASE)

_FINAL = (
    r"(?:final|overall)[ \t]+(?:score|rating)|最终(?:得分|评分|分数)|(?:综合|总体|整体)(?:得分|评分)"
    r"|总(?:分|评分)(?=[^\n]{0,20}[/／][ \t]?10)"
)
_FINAL_LINE = re.compile(
    rf"^[ \t>#*_-]*(?:the[ \t]+)?(?:{_FINAL})[ \t*_]*(?:[(（][^)）\n]{{0,30}}[)）][ \t*_]*)?"
    r"(?:[:：=]|[ \t]is\b|为|是)(?P<value>[^\n]{1,40})(?P<end>\n|\Z)",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\\boxed\{(?P<value>[^{}\n]{1,20})\}")
_LINE_VALUE = re.compile(rf"{_VALUE}\s*", re.IGNORECASE)
_FINAL_KEYS = frozenset({
    "final_score", "overall_score", "final", "overall", "finalscore", "overall_rating", "final_rating",
    "最终得分", "最终评分", "最终分数", "综合评分", "总体评分",
})  # fmt: skip
_QUOTES = frozenset("\"'“”‘’「」『』")


def read_score(text: str, blocks: Sequence[Block], first: Block, mean: float, *, whole: bool) -> float | None:
    """The score in [0, 10] that `text` states from its `first` block with verdicts on, or None.

    A tag inside JSON counts only as the whole of a string named a score. `whole` says that the text is known
    to have ended by itself: else a number at its very end may be the head of a longer one: it does not count.
    `mean` is that of the verdicts, which is no final score. Raises TraceError for statements that differ, or
    one that is no number in the range.
    """
    named = {start for block in blocks for start in _score_strings(block.value)}
    tags = [
        tag
        for tag in _SCORE_TAG.finditer(text, first.start)
        if tag.start() in named or _outside(blocks, tag.start())
    ]
    if tags:
        return _tagged(text, tags, named, whole)
    stated = [*_in_json(text, blocks, first), *_in_lines(text, blocks, first, whole)]
    if len(set(stated)) > 1:
        raise _several(stated, text)
    if stated and 0 < stated[0] <= 1 and abs(stated[0] - mean) < 0.01:
        raise TraceError(f"a final score without its tag that is the verdicts' average: {stated[0]:g}", text)
    return stated[0] if stated else None


def _tagged(text: str, tags: Sequence[re.Match[str]], named: Set[int], whole: bool) -> float | None:
    values: list[float] = []
    quoted = []
    end = -1
    for number, tag in enumerate(tags):
        last = number == len(tags) - 1
        stated = (_LAST_TAG_VALUE if whole and last else _TAG_VALUE).match(text, tag.end())
        if stated is not None:
            values.append(_number(stated["score"]))
            end = stated.end()
            quoted.append(tag.start() not in named and _is_quotation(text, tag.start(), end))
        elif last and (not values or text[end : tag.start()].strip()):
            if not values and (none := _SAYS_NONE.match(text, tag.end())) and not_stated(none["word"]):
                return None
            raise _no_number(text, tag.end())
        # else <score>8<score>: the tag was meant to close the one before
    if len(set(values)) > 1:
        raise _several(values, text)
    if all(quoted):
        raise TraceError("no <score> after the verdicts but in a quotation", text)
    return _in_range(values[0], text)


def _is_quotation(text: str, start: int, end: int) -> bool:
    """Whether a tag stands in quotation marks after other words of its line."""
    line = text[max(0, start - 80) : start].rpartition("\n")[2]
    closing = _CLOSING_TAG.match(text, end)
    after = text[closing.end() if closing else end :][:1]
    return line[-1:] in _QUOTES and after in _QUOTES and bool(line.strip(" \t\"'“”‘’「」『』*"))


def _in_json(text: str, blocks: Sequence[Block], first: Block) -> Iterator[float]:
    """Scores as values of outermost keys: "final_score" anywhere, "score" beside checks or alone."""
    for block in blocks:
        if block.start < first.start or not isinstance(block.value, Object):
            continue
        pairs = block.value.pairs
        if len(pairs) == 1 and isinstance(wrapped := pairs[0][1], Object):
            pairs = wrapped.pairs
        overall = len(pairs) == 1 or any(_holds_checks(*pair) for pair in pairs)
        for key, item in pairs:
            name = key_of(key)
            if not isinstance(item, Scalar) or not_stated(item.text):
                continue
            if name in _FINAL_KEYS or (overall and name in ("score", "评分", "得分")):
                yield _line_value(item.text, text)


def _holds_checks(key: str, item: Value) -> bool:
    if isinstance(item, Array):
        return lists_verdicts(key_of(key)) or any(isinstance(each, Object) for each in item.items)
    return isinstance(item, Object)


def _in_lines(text: str, blocks: Sequence[Block], first: Block, whole: bool) -> Iterator[float]:
    for line in _FINAL_LINE.finditer(text, first.end):
        value = line["value"].strip()
        if _outside(blocks, line.start()) and not _BOXED.search(value) and not not_stated(value.strip(" *.")):
            ended = line["end"] == "\n" or value[-1:] in "*。)）" or re.search(r"\D10\.\Z", value)
            if whole or ended:
                yield _line_value(value, text)
    for boxed in _BOXED.finditer(text, first.end):
        if _outside(blocks, boxed.start()):
            yield _line_value(boxed["value"], text)


def _line_value(stated: str, text: str) -> float:
    match = _LINE_VALUE.fullmatch(stated.strip())
    if match is None:
        raise TraceError(f"expected a number from 0 to {MAX_SCORE:g} as score, got {stated[:40]!r}", text)
    return _in_range(_number(match["score"]), text)


def _outside(blocks: Sequence[Block], at: int) -> bool:
    """Whether an offset lies in none of the blocks, which stand in the order of the text."""
    number = bisect_right(blocks, at, key=lambda block: block.start) - 1
    return number < 0 or at >= blocks[number].end


def _score_strings(value: Value) -> Iterator[int]:
    if isinstance(value, Array):
        for item in value.items:
            yield from _score_strings(item)
    elif isinstance(value, Object):
        for key, item in value.pairs:
            if not isinstance(item, Scalar):
                yield from _score_strings(item)
            elif "score" in key_of(key) and _SCORE_TAG.match(item.text):
                yield item.start


def _number(written: str) -> float:
    return abs(number) if (number := float(written.replace(",", ".").replace("．", "."))) == 0 else number


def _in_range(score: float, text: str) -> float:
    if not 0.0 <= score <= MAX_SCORE:
        raise TraceError(f"the score {score:g} lies outside [0, {MAX_SCORE:g}]", text)
    return score


def _several(values: Sequence[float], text: str) -> TraceError:
    shown = ", ".join(f"{value:g}" for value in dict.fromkeys(values))
    return TraceError(f"several different scores after the verdicts: {shown}", text)


def _no_number(text: str, at: int) -> TraceError:
    return TraceError(
        f"expected a number from 0 to {MAX_SCORE:g} after <score>, got {text[at : at + 40]!r}", text
    )
