"""How foreign models word verdicts, categories, numbers and keys, in English and Chinese. Pure look-ups.

Knows words, not answers: which of them counts is decided where they are read.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TypeVar

from edit_rrm.principles import Category

VERDICT_KEYS = (
    "verdict", "score", "met", "result", "answer", "judgement", "judgment", "value", "passed", "satisfied",
    "is_met", "decision", "判断", "判定", "结论", "裁决", "结果", "是否满足", "满足", "评分", "得分", "分数",
)  # fmt: skip
NUMBER_KEYS = (
    "principle", "number", "id", "principle_id", "principle_number", "index", "no", "question_id", "no.",
    "num", "原则", "编号", "序号", "原则编号", "问题编号",
)  # fmt: skip
QUESTION_KEYS = (
    "question", "principle", "principle_text", "text", "criterion", "check", "description", "name",
    "问题", "原则", "内容", "描述",
)  # fmt: skip
EVIDENCE_KEYS = (
    "reasoning", "reason", "evidence", "explanation", "analysis", "rationale", "justification", "observation",
    "理由", "原因", "依据", "证据", "分析", "推理", "说明", "解释",
)  # fmt: skip
CATEGORY_KEYS = ("category", "type", "dimension", "aspect", "group", "类别", "类型", "维度", "分类")

_VERDICT_LIST_KEY = re.compile(r"score|verdict|judg|result|answer|判断|判定|结论|结果|评分|得分|分数")
_PLACE_KEY = re.compile(r"box|coord|region|locat|position|point|坐标|位置|区域|框")

_MET = frozenset(
    {"1", "1.0", "true", "yes", "y", "met", "pass", "passed", "satisfied", "fulfilled", "✓", "✔", "✅", "☑"}
    | {"是", "是的", "满足", "已满足", "符合", "通过", "达成", "达到"}
)
# The judge is told: "When you cannot tell, 0". "Not applicable" says something else, and is no verdict.
_NOT_MET = frozenset(
    {"0", "0.0", "false", "no", "n", "not met", "unmet", "fail", "failed", "not satisfied", "unsatisfied"}
    | {"not fulfilled", "unfulfilled", "✗", "✘", "❌", "✕"}
    | {"uncertain", "unsure", "unclear", "unknown", "partial", "partially", "partially met", "partly met"}
    | {"cannot tell", "cannot determine", "cannot be determined", "can't tell", "not sure"}
    | {"否", "不", "不是", "不满足", "未满足", "不符合", "不通过", "未通过", "未达成", "未达到", "没有"}
    | {"不确定", "无法判断", "无法确定", "部分满足", "部分符合"}
)
_VERDICT_PARTS = re.compile(r"\s*(?://|[(（)）:：,，;=|]|(?<=\s)[-–—#](?=\s))+\s*")
_NOT_STATED = frozenset({"", "null", "none", "n/a", "na", "-", "--", "?", "无", "不适用"})

_CATEGORY_WORDS = (
    (Category.FOLLOW, ("follow", "instruction", "adherence", "compliance", "遵循", "指令", "执行", "遵从")),
    (Category.KEEP, ("keep", "preserv", "consisten", "retention", "retain", "unchanged")),
    (Category.KEEP, ("保持", "保留", "一致")),
    (Category.QUALITY, ("quality", "aesthetic", "realis", "natural", "artifact", "artefact", "plausib")),
    (Category.QUALITY, ("质量", "画质", "品质", "美观", "美学", "真实", "自然")),
    # "Source fidelity" is kept, "visual quality & fidelity" is quality: the word counts where no other does.
    (Category.KEEP, ("fidelity", "保真")),
)  # fmt: skip
_ORDINAL = re.compile(
    r"(?:principle|question|check|item|criterion|p|q|原则|问题|检查|第)?[\s_#.-]{0,3}([0-9]{1,4})"
    r"\s?(?:[.:)、：）]|条(?:原则)?|项|个问题)?",
    re.IGNORECASE,
)
_LEADING_ORDINAL = re.compile(
    r"\s*(?:[Pp]rinciple\s|[Qq]uestion\s|原则|问题)?([0-9]{1,4})(?:[.:)]\s|[、：）])"
)

_LONGEST_VERDICT = 60

_T = TypeVar("_T")


def met_of(word: str) -> bool | None:
    """Whether a verdict, written out, says met; None where it is no verdict or says both.

    A verdict may be said twice ("1 (met)", "yes: 1"), but then the same way.
    """
    word = word.strip()
    if len(word) > _LONGEST_VERDICT:
        return None
    once = _one_verdict(word)
    if once is not None:
        return once
    parts = [part for part in _VERDICT_PARTS.split(word) if part.strip()]
    said = {_one_verdict(part) for part in parts[:4]}
    return said.pop() if len(parts) in (2, 3) and len(said) == 1 else None


def not_stated(word: str) -> bool:
    """Whether a value says that there is none."""
    return word.strip().lower() in _NOT_STATED


def lists_verdicts(key: str) -> bool:
    """Whether the list under a key may be one of verdicts."""
    return _VERDICT_LIST_KEY.search(key) is not None and _PLACE_KEY.search(key) is None


def category_of(name: str) -> Category | None:
    """The category that a name means."""
    lower = name.lower()
    return next(
        (category for category, words in _CATEGORY_WORDS if any(word in lower for word in words)), None
    )


def key_of(name: str) -> str:
    """A key as two spellings of it are compared."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def plain(question: str) -> str:
    """A question as two spellings of it are compared: letters and digits, without its number."""
    return "".join(c for c in _LEADING_ORDINAL.sub("", question, count=1).casefold() if c.isalnum())


def ordinal_of(text: str) -> int | None:
    """The number that a text is: "2", "p2", "Principle 2:", "第2条"."""
    stripped = text.strip()
    match = _ORDINAL.fullmatch(_narrow(stripped)) if len(stripped) < 40 else None
    return int(match[1]) if match else None


def leading_ordinal(question: str) -> int | None:
    """The number that a question begins with."""
    match = _LEADING_ORDINAL.match(_narrow(question[:40]))
    return int(match[1]) if match else None


def first_of(values: Mapping[str, _T], keys: Sequence[str]) -> _T | None:
    """The value under the first of the keys that is there."""
    return next((values[key] for key in keys if key in values), None)


def _one_verdict(word: str) -> bool | None:
    said = " ".join(re.split(r"[\s_-]+", _narrow(word.strip(" \t\n.!*。！")).lower()))
    return True if said in _MET else False if said in _NOT_MET else None


def _narrow(text: str) -> str:
    """Full-width digits and letters as ASCII; all else, digits of other scripts too, as it stands."""
    return "".join(unicodedata.normalize("NFKC", c) if "！" <= c <= "～" else c for c in text)
