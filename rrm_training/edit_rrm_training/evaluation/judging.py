"""What a judge is to evaluation: it decomposes edits and scores candidates, wherever the model runs.

`in_process.py` asks a checkpoint in this process, `http_judge.py` a running service.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from edit_rrm.principles import Principle


@dataclass(frozen=True)
class Question:
    """One edit to judge. Without principles the judge decomposes first."""

    instruction: str
    source: Image.Image
    candidates: tuple[Image.Image, ...]
    principles: tuple[Principle, ...] | None = None


@dataclass(frozen=True)
class Drawing:
    """How many samples a candidate gets, and how warm; sample i is drawn with seed + i."""

    samples: int = 1
    temperature: float | None = None
    """None: the checkpoint's own."""


@dataclass(frozen=True)
class Opinion:
    """What a judge makes of one candidate.

    `scores` has one entry a sample, None where its trace did not parse. `met` and `probabilities` (of "met")
    are per principle over the samples that parsed; None where no trace parsed, or from a scorer.
    """

    scores: tuple[float | None, ...]
    met: tuple[bool, ...] | None = None
    probabilities: tuple[float | None, ...] | None = None
    texts: tuple[str, ...] = ()

    def score(self, samples: int | None = None) -> float | None:
        """τ: the mean over the first `samples` (all without it) that parsed; None when none did."""
        known = [score for score in self.scores[:samples] if score is not None]
        return statistics.fmean(known) if known else None


@dataclass(frozen=True)
class Decomposition:
    """What a judge wrote as principles, and the principles; None where the text cannot be used."""

    text: str
    principles: tuple[Principle, ...] | None


class Judge(Protocol):
    """Judges edits."""

    @property
    def gives_verdicts(self) -> bool:
        """False for a scorer: it neither decomposes nor judges principles."""
        ...

    def decompose(self, questions: Sequence[Question]) -> list[Decomposition]:
        """The principles the judge would use for each."""
        ...

    def judge(self, questions: Sequence[Question], drawing: Drawing) -> list[tuple[Opinion, ...]]:
        """One opinion a candidate."""
        ...
