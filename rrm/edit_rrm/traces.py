"""Traces: what the verifier writes, and Φ, the rule-based parser that reads it (docs/paper.md, Terms).

Trace format 1, which trained checkpoints write, is parsed strictly: it is our own format, so a
deviation means that the model lost its way and its score must not be trusted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edit_rrm.errors import TraceError

MAX_SCORE = 10.0

_LINE = re.compile(r"(?P<number>[1-9][0-9]{0,3})\. (?P<evidence>.*\S) => (?P<verdict>[01])")
_AVERAGE = re.compile(r"average (?P<average>[01]\.[0-9]{2})")
_SCORE = re.compile(r"<score>(?P<score>[0-9]{1,2}(?:\.[0-9]{1,4})?)</score>")


@dataclass(frozen=True)
class Verdict:
    """The verdict on one principle.

    `position` is the character offset of the verdict's digit in the trace's text, where its
    probability is read; None when the text does not spell the verdict as a digit.
    """

    met: bool
    evidence: str
    position: int | None = None


@dataclass(frozen=True)
class PartialTrace:
    """What a verification's text says: one verdict per principle in order, and the score if it states one."""

    verdicts: tuple[Verdict, ...]
    score: float | None
    text: str

    @property
    def average(self) -> float:
        """Mean verdict in [0, 1]; computed here, whatever average the model wrote."""
        return sum(verdict.met for verdict in self.verdicts) / len(self.verdicts)

    def with_score(self) -> "Trace":
        """The same as a trace. Raises TraceError where the text states no score."""
        if self.score is None:
            raise TraceError("no <score> after the verdicts", self.text)
        return Trace(self.verdicts, self.score, self.text)


@dataclass(frozen=True)
class Trace(PartialTrace):
    """A parsed trace: one verdict per principle in order, and the final score τ in [0, 10]."""

    score: float

    def with_score(self) -> "Trace":
        """Itself."""
        return self


def format_score(score: float) -> str:
    """A score as traces write it: one decimal, 0.0 to 10.0."""
    return f"{score:.1f}"


def render_trace(findings: Sequence[tuple[str, bool]], score: float) -> str:
    """Trace format 1 from (evidence, met) pairs and a score in [0, 10].

    Raises ValueError for an empty list, a score out of range, or evidence that spans lines.
    """
    if not findings:
        raise ValueError("a trace needs at least one verdict")
    if not 0.0 <= score <= MAX_SCORE:
        raise ValueError(f"score must lie in [0, {MAX_SCORE:g}], got {score}")
    lines = []
    for number, (evidence, met) in enumerate(findings, start=1):
        if "\n" in evidence or not evidence.strip():
            raise ValueError(f"evidence {number} must be one non-empty line, got {evidence!r}")
        lines.append(f"{number}. {evidence.strip()} => {int(met)}")
    average = sum(met for _, met in findings) / len(findings)
    lines.append(f"average {average:.2f}")
    lines.append(f"<score>{format_score(score)}</score>")
    return "\n".join(lines)


def parse_trace(text: str, principle_count: int, *, start: int = 0) -> Trace:
    """Φ for trace format 1: strict. Raises TraceError naming the first thing that is wrong.

    `start` is the offset at which the trace begins, after the thinking that some bases write first. Raises
    ValueError for a `principle_count` below 1.
    """
    if principle_count < 1:
        raise ValueError(f"a trace has at least one principle, got {principle_count}")
    written = text[start:]
    offset = start + len(written) - len(written.lstrip())
    lines = written.strip().split("\n")
    expected = principle_count + 2
    if len(lines) != expected:
        raise TraceError(
            f"expected {expected} lines for {principle_count} principles, got {len(lines)}", text
        )
    verdicts = []
    for number, line in enumerate(lines[:principle_count], start=1):
        match = _LINE.fullmatch(line)
        if match is None or int(match["number"]) != number:
            raise TraceError(f"line {number} is not '{number}. evidence => 0|1': {line[:80]!r}", text)
        verdicts.append(Verdict(match["verdict"] == "1", match["evidence"], offset + match.start("verdict")))
        offset += len(line) + 1
    if _AVERAGE.fullmatch(lines[-2]) is None:
        raise TraceError(f"expected 'average 0.00' after the verdicts, got {lines[-2][:80]!r}", text)
    match = _SCORE.fullmatch(lines[-1])
    if match is None:
        raise TraceError(f"expected '<score>0.0</score>' on the last line, got {lines[-1][:80]!r}", text)
    score = float(match["score"])
    if score > MAX_SCORE:
        raise TraceError(f"the score {score:g} lies outside [0, {MAX_SCORE:g}]", text)
    return Trace(tuple(verdicts), score, text)
