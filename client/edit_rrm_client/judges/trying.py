"""A judge tried with sample answers: what it reads in them, and the reward. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edit_rrm.errors import JudgeError
from edit_rrm.judges.advice import SAMPLE_PRINCIPLES, sample_asks
from edit_rrm.judges.judge import Judge, Judgement, Reading, Written
from edit_rrm.tokens import Token


@dataclass(frozen=True)
class Tried:
    """What each answered ask reads, by its name, and the judgement where every ask has an answer."""

    readings: Mapping[str, Reading]
    judgement: Judgement | None
    unanswered: tuple[str, ...]


def sample_answers(judge: Judge, given: Sequence[str]) -> dict[str, str]:
    """Texts by the asks they answer: `ASK=TEXT`, else in the order of the asks. A text may be a file's path.

    Raises JudgeError for more answers than asks, and for two of one.
    """
    names = [kind.name for kind in judge.kinds]
    found: dict[str, str] = {}
    for text in given:
        name, equals, rest = text.partition("=")
        if not equals or name not in names:
            free = [name for name in names if name not in found]
            if not free:
                raise JudgeError(f"{len(given)} answers for {len(names)} asks: {', '.join(names)}")
            name, rest = free[0], text
        if name in found:
            raise JudgeError(f"two answers for the ask {name!r}")
        found[name] = _text(rest)
    return found


def try_answers(judge: Judge, answers: Mapping[str, str]) -> Tried:
    """Reads answers as if a model had written them, a single token with certainty. Raises TraceError."""
    asks = sample_asks(judge)
    principles = SAMPLE_PRINCIPLES if judge.needs_principles else ()
    read = [
        (ask.kind.name, judge.read(ask, _written(answers[ask.kind.name], ask.kind.one_token), principles))
        for ask in asks
        if ask.kind.name in answers
    ]
    unanswered = tuple(kind.name for kind in judge.kinds if kind.name not in answers)
    judgement = None
    if not unanswered:
        aggregator = judge.aggregator or ("model_score" if judge.gives_score else "soft")
        judgement = judge.judgement([reading for _, reading in read], principles, aggregator)
    return Tried(dict(read), judgement, unanswered)


def _written(text: str, one_token: bool) -> Written:
    tokens = (Token(text.strip(), 0, 0.0),) if one_token else ()
    return Written(text, tokens)


def _text(given: str) -> str:
    try:
        file = Path(given)
        return file.read_text(encoding="utf-8") if file.is_file() else given
    except UnicodeDecodeError as error:
        raise JudgeError(f"{given} is no text: {error}") from error
    except (OSError, ValueError):  # too long for a path, or with a character that no path has
        return given
