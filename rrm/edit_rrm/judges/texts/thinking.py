"""Where a text's answer begins: after the thinking that a model wrote first, however its family spells it.

A thought that is not finished has no answer after it: an error, never a draft read as an answer. What must be
told from the tags that end a thought is their echo, in reasoning or in lettering that an answer quotes: a tag
counts where a model would write it, not in mid sentence, and where two readings are left there is none. Knows
nothing of verdicts and scores, but that an answer has begun with the first bracket, score or numbered line.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edit_rrm.errors import EditRRMError
from edit_rrm.judges.texts.sloppy_json import find_blocks

Refusal = Callable[[str, str], EditRRMError]
"""Makes the caller's error from what is wrong and the text: `TraceError` or `DecompositionError`."""

_NAME = (
    r"think(?:ing)?|thoughts?|thought_process|reasoning|reason|reflection|scratchpad|cot|思考过程|思考|推理"
)
_PREFIX = r"(?:[a-z]{2,8}[:|])?"
_SUFFIX = r"(?:_fast|_faster|:[\w.-]{1,40})?"
# Families by the way they spell a thought, each with its opening and its closing.
_SPELLINGS = {
    "tag": (rf"<{_PREFIX}(?:{_NAME}){_SUFFIX}\s?>", rf"<[\\/]{{1,2}}{_PREFIX}(?:{_NAME}){_SUFFIX}\s?>"),
    "kimi": (r"◁think▷", r"◁/think▷"),
    "kimi_3": (r"<\|open\|>\s?think\s?<\|sep\|>", r"<\|close\|>\s?think\s?<\|sep\|>"),
    "begin_end": (
        r"<\|(?:begin|start)_(?:of_)?(?:thought|think(?:ing)?|reasoning)\|>",
        r"<\|end_(?:of_)?(?:thought|think(?:ing)?|reasoning)\|>",
    ),
    "bar": (r"<\|think(?:ing)?\|>", r"<\|?/\|?think(?:ing)?\|>"),
    "mistral": (r"\[THINK\]", r"\[/THINK\]"),
    "apertus": (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    "harmony": (
        r"<\|channel\|>\s?(?:analysis|commentary)\b[^<\n]{0,60}<\|message\|>",
        r"<\|channel\|>\s?final\b[^<\n]{0,60}(?:<\|constrain\|>\w{0,20})?<\|message\|>",
    ),
    "gemma": (r"<\|channel>\s?thought\b", r"<channel\|>"),
    "medgemma": (r"<unused94>(?:\s?thought\b)?", r"<unused95>"),
    "bracket": (r"【思考(?:过程)?】", r"【/思考(?:过程)?】"),
}
_TAG = re.compile(
    "|".join(f"(?P<{kind}_open>{a})|(?P<{kind}_close>{b})" for kind, (a, b) in _SPELLINGS.items()),
    re.IGNORECASE,
)
_BEGINS_TAG = re.compile(r"[<\[◁【]")  # any of them; to look for these alone takes a fraction of the time
_OPENING_AT_END = re.compile(rf"(?:{'|'.join(opening for opening, _ in _SPELLINGS.values())})\s*\Z", re.I)

# Thoughts without tags: a heading at the start of the text, and what then says that the answer begins.
_PRELUDE = re.compile(
    r"[\s#*_>]*(?:(?:Here(?:'|’)s|Here is) (?:my|a) (?:thinking|thought) process|(?:Thinking|Thought) Process"
    r"|思考过程)[*_ \t]*[:：]",
    re.IGNORECASE,
)
_ANSWER_HEADING = re.compile(
    r"^[ \t>#*_]*(?:Final (?:answer|output|response|JSON|result|verdicts?)"
    r"|(?:Here(?:'|’)s|Here is) my response|最终(?:答案|回答|输出|结果))[*_ \t]*[:：][*_ \t]*(?=[\n{\[`])",
    re.IGNORECASE | re.MULTILINE,
)
# Channels whose tags are control tokens, in a text that was decoded without those.
_BARE_HARMONY = re.compile(r"\s*analysis(?=[A-Z\n\"'])")
_BARE_HARMONY_FINAL = "assistantfinal"
_BARE_GEMMA = re.compile(r"\s*thought\n\s*")

_ANSWER_BEGUN = re.compile(r"[\[{]|<score>|^1\. ", re.IGNORECASE | re.MULTILINE)
_LINE_START = re.compile(r"(?:\A|\n)[ \t>*#_]*\Z")
_ENDS_LINE = re.compile(r"[ \t*_]*(?:\r?\n|\Z|[\[{<]|```|\*\*)")
_SENTENCE = re.compile(r"[ \t]*[A-Z0-9\u3400-\u9fff]")
_ENDS_SENTENCE = re.compile(r"[.!?:。！？：…)]\s*\Z")
_QUOTES = frozenset("\"'`“”‘’「」『』")
_LOOK_BACK = 80


def is_thought_tag(text: str) -> bool:
    """Whether a text, such as a control token, is a tag that begins or ends a thought."""
    return _TAG.fullmatch(text.strip()) is not None


def thought_tokens(tokens: Iterable[str]) -> tuple[str, str] | None:
    """The tokens that begin and end a thought, among a tokenizer's added ones; None for no such pair.

    A family that has several ways is taken by the first that `_SPELLINGS` names, `<think>` before other tags.
    """
    kinds: dict[str, list[str]] = {}
    for token in sorted(tokens, key=lambda token: "think>" not in token):
        found = _TAG.fullmatch(token)
        if found is not None and found.lastgroup is not None:
            kinds.setdefault(found.lastgroup, []).append(token)
    for kind in _SPELLINGS:
        for opening in kinds.get(f"{kind}_open", ()):
            for closing in kinds.get(f"{kind}_close", ()):
                if kind != "tag" or closing == f"</{opening[1:]}":
                    return opening, closing
    return None


def opens_thought(prompt: str) -> bool:
    """Whether a rendered prompt ends inside a thought, which the model then has to finish."""
    return _OPENING_AT_END.search(prompt[-200:]) is not None


def answer_start(text: str, refusal: Refusal, *, opened: bool | None = None) -> int:
    """The offset in `text` at which the answer begins; 0 where the text holds no thought.

    `opened` says whether the prompt ended inside a thought (`opens_thought`): True, then its end must be in
    the text; False, then no end of a thought that nothing opened can take back an answer that has begun;
    None, unknown: an end without a beginning ends a thought of the template's. Raises what `refusal` makes
    when a thought is not finished, or when it is not clear where it ends.
    """
    found = _Thoughts(text, refusal)
    if opened:
        return found.start_of_answer(inside="", bare_ends=True)
    if (untagged := _after_bare_channels(text, refusal)) is not None:
        return untagged
    if _PRELUDE.match(text):
        return _after_prelude(text, found, refusal)
    return found.start_of_answer(inside=None, bare_ends=opened is None)


@dataclass(frozen=True)
class _Tag:
    """One tag: its spelling, and whether it stands where a model writes it rather than in a quotation."""

    kind: str
    opening: bool
    start: int
    end: int
    leads_line: bool
    quoted: bool
    ends_thought: bool


class _Thoughts:
    """The thoughts of one text."""

    def __init__(self, text: str, refusal: Refusal) -> None:
        self._text = text
        self._refusal = refusal
        self._tags = list(_tags(text))
        self._begun = -1

    @property
    def end_is_marked(self) -> bool:
        return any(not tag.opening and tag.ends_thought for tag in self._tags)

    def start_of_answer(self, *, inside: str | None, bare_ends: bool) -> int:
        """`inside`: the kind of the thought that the text begins in, "" for any, None for none.

        `bare_ends`: whether an end without a beginning takes back what stands before it.
        """
        start, ended = 0, False
        certain_from = 0
        for tag in self._tags:
            if tag.opening:
                if inside is not None or not self._opens(tag, start):
                    continue
                if self._has_begun(start, tag.start):
                    raise self._refused("a thought begins after the answer did")
                inside, certain_from = tag.kind, tag.end
            elif not tag.ends_thought:
                continue
            elif inside is not None:
                if inside in ("", tag.kind):
                    start, inside, ended = tag.end, None, True
            else:
                self._check_bare_end(tag, start, ended, bare_ends)
                start, ended = tag.end, True
        if inside is not None:
            return self._only_end(inside, certain_from)
        return start

    def _opens(self, tag: _Tag, start: int) -> bool:
        """Whether an opening tag is one: it leads its line, or the answer has not begun before it."""
        return tag.leads_line or not (tag.quoted or self._has_begun(start, tag.start))

    def _check_bare_end(self, tag: _Tag, start: int, ended: bool, bare_ends: bool) -> None:
        """Refuses an end without a beginning that may be a quotation in an answer."""
        if not self._has_begun(start, tag.start):
            return
        if ended:
            raise self._refused("a thought that seems to end twice")
        if not bare_ends:
            raise self._refused("the end of a thought that nothing opened, after the answer began")
        if any(block.start < tag.start < block.end for block in find_blocks(self._text)):
            raise self._refused("the end of a thought within JSON")

    def _only_end(self, kind: str, after: int) -> int:
        """The end of a thought whose only closing tag stands in mid sentence."""
        ends = [
            tag.end
            for tag in self._tags
            if not tag.opening and tag.start >= after and kind in ("", tag.kind) and not tag.quoted
        ]
        if len(ends) != 1:
            raise self._refused("a thought that is not finished, so no answer")
        return ends[0]

    def _has_begun(self, start: int, end: int) -> bool:
        """Whether an answer may have begun between the offsets. `start` never goes back."""
        if self._begun < start:
            begun = _ANSWER_BEGUN.search(self._text, start)
            self._begun = begun.start() if begun else len(self._text)
        return self._begun < end

    def _refused(self, detail: str) -> EditRRMError:
        return self._refusal(detail, self._text)


def _tags(text: str) -> Iterator[_Tag]:
    searched = 0
    for begins in _BEGINS_TAG.finditer(text):
        match = _TAG.match(text, begins.start()) if begins.start() >= searched else None
        if match is None:
            continue
        searched = match.end()
        kind, _, role = (match.lastgroup or "").rpartition("_")
        start, end = match.span()
        before, after = text[max(0, start - _LOOK_BACK) : start], text[end : end + _LOOK_BACK]
        leads = _LINE_START.search(before) is not None and (start <= _LOOK_BACK or "\n" in before)
        fenced = after.startswith("```") or before.endswith("```")
        closes_quote = not fenced and after[:1] in _QUOTES
        quoted = closes_quote or (not fenced and before[-1:] in _QUOTES)
        sentence = _SENTENCE.match(after) is not None and (
            not after[:1].isspace() or _ENDS_SENTENCE.search(before) is not None
        )
        # A quotation mark just before may end the last words of a thought.
        ends = not closes_quote and (
            leads or _ENDS_LINE.match(after) is not None or (sentence and not quoted)
        )
        yield _Tag(kind, role == "open", start, end, leads, quoted, ends)


def _after_prelude(text: str, found: _Thoughts, refusal: Refusal) -> int:
    if found.end_is_marked:
        return found.start_of_answer(inside="", bare_ends=True)
    headings = list(_ANSWER_HEADING.finditer(text))
    if not headings:
        raise refusal("a thought that is not finished, so no answer", text)
    return headings[-1].end()


def _after_bare_channels(text: str, refusal: Refusal) -> int | None:
    if _BARE_HARMONY.match(text):
        final = text.rfind(_BARE_HARMONY_FINAL)
        if final < 0:
            raise refusal("a thought that is not finished, so no answer", text)
        return final + len(_BARE_HARMONY_FINAL)
    label = _BARE_GEMMA.match(text)
    if label is None:
        return None
    if text[label.end() : label.end() + 1] in ("{", "[", "`"):  # the channel was empty
        return label.end()
    if _TAG.search(text):
        return None
    raise refusal("a thought whose end is not shown, so no answer", text)
