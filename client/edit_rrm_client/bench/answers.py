"""What the service said of each candidate, kept in a file so that a run that stopped goes on.

One JSON object a line: first what was asked of which model, then one candidate a line, named by the
digest of instruction, source and edited image, so that an image in many comparisons is scored once.
Failures are not kept: the next run asks again.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edit_rrm.principles import Category
from edit_rrm.wire import CandidateScored, ScoreAnswer
from edit_rrm_client.bench.comparisons import Dimension
from edit_rrm_client.bulk.errors import ResumeRefusedError

By = Literal["dimension", "score"]
"""What decides a comparison of one dimension: the principles of its category, or always the score."""
_CATEGORY: Mapping[Dimension, Category] = {
    "prompt_following": Category.FOLLOW,
    "consistency": Category.KEEP,
    "quality": Category.QUALITY,
}


class Asked(BaseModel):
    """What all answers of one file have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    benchmark: str
    rrm: str
    """The reward model as name@digest."""
    samples: int
    resize: bool


class Answer(BaseModel):
    """One candidate: its score, 0 to 10, and the mean probability of "met" in each category."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidate: str
    score: float
    met: dict[Category, float]

    def value(self, dimension: Dimension, by: By) -> float | None:
        """What is compared for a dimension; None when no principle was of its category."""
        if by == "score" or dimension == "overall":
            return self.score
        return self.met.get(_CATEGORY[dimension])


def answer_of(candidate: str, result: CandidateScored, answer: ScoreAnswer) -> Answer:
    """The answer to keep; a verdict whose probability the model's tokens did not show counts as 0 or 1."""
    categories = {principle.id: principle.category for principle in answer.principles}
    met: dict[Category, list[float]] = {}
    for verdict in result.verdicts:
        probability = float(verdict.met) if verdict.probability is None else verdict.probability
        met.setdefault(categories[verdict.principle], []).append(probability)
    means = {category: sum(values) / len(values) for category, values in met.items()}
    return Answer(candidate=candidate, score=result.score, met=means)


class Answers:
    """The answers of a file, and where new ones go. A torn last line is cut off, nothing is rewritten."""

    def __init__(self, path: Path, asked: Asked) -> None:
        self._path = path
        self.known: dict[str, Answer] = {}
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if content:
            self._read(whole.splitlines(), asked)
            os.truncate(path, len(whole))
        self._file = path.open("ab")
        if not content:
            self._write(asked)

    def add(self, answer: Answer) -> None:
        """Keeps an answer."""
        self.known[answer.candidate] = answer
        self._write(answer)

    def __enter__(self) -> "Answers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, line: BaseModel) -> None:
        self._file.write(line.model_dump_json().encode() + b"\n")
        self._file.flush()

    def _read(self, lines: list[bytes], asked: Asked) -> None:
        try:
            before = Asked.model_validate_json(lines[0] if lines else b"")
            answers = [Answer.model_validate_json(line) for line in lines[1:]]
        except ValidationError as error:
            raise ResumeRefusedError(f"{self._path} is no file of answers; name another --answers") from error
        if before != asked:
            raise ResumeRefusedError(
                f"{self._path} holds answers to another question: {before!r}, now {asked!r}; "
                "delete it or name another --answers"
            )
        self.known = {answer.candidate: answer for answer in answers}
