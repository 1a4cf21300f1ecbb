"""Judges in this process: a verifier's checkpoint asked as it is served, and the holistic baseline's."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from edit_rrm.aggregators import majority
from edit_rrm.checkpoint import RRMCard, SamplingDefaults
from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.image_scale import ImageScale
from edit_rrm.images import EditImage
from edit_rrm.judges import get_profile
from edit_rrm.principles import Principle
from edit_rrm.verdict_probability import met_probability
from edit_rrm_training.data.samples import Sample
from edit_rrm_training.data.score_only import parse_score, score_only_prompt
from edit_rrm_training.evaluation.judging import Decomposition, Drawing, Opinion, Question
from edit_rrm_training.rollouts.offline_engine import Completion


class Completer(Protocol):
    """Anything that completes samples."""

    def complete(self, samples: Sequence[Sample], sampling: SamplingDefaults) -> list[Completion]:
        """One completion a sample, in order."""
        ...


def _draws(sampling: SamplingDefaults, drawing: Drawing) -> list[SamplingDefaults]:
    """The settings of each distinct sample: greedy ones are one."""
    warm = sampling.temperature if drawing.temperature is None else drawing.temperature
    count = drawing.samples if warm > 0 else 1
    return [
        sampling.model_copy(update={"temperature": warm, "seed": sampling.seed + i}) for i in range(count)
    ]


@dataclass(frozen=True)
class _Asked:
    """One candidate's prompt, and the principles its trace must judge."""

    sample: Sample
    principles: tuple[Principle, ...]


class InProcessJudge:
    """A verifier's checkpoint, asked with its card's profile and sampling."""

    gives_verdicts = True

    def __init__(self, engine: Completer, card: RRMCard) -> None:
        self._engine = engine
        self._sampling = card.sampling
        self._profile = get_profile(card.profile)
        self._scale = card.scale

    def decompose(self, questions: Sequence[Question]) -> list[Decomposition]:
        """See `Judge`."""
        samples = [
            Sample(
                self._profile.decompose(q.instruction, seed=self._sampling.seed),
                _within(self._scale, q.source),
                "",
            )
            for q in questions
        ]
        completions = self._engine.complete(samples, self._sampling)
        return [Decomposition(found.text, self._principles(found.text)) for found in completions]

    def judge(self, questions: Sequence[Question], drawing: Drawing) -> list[tuple[Opinion, ...]]:
        """See `Judge`. A question that cannot be decomposed has opinions without a score."""
        open_ones = [q for q in questions if q.principles is None]
        decomposed = iter(self.decompose(open_ones) if open_ones else ())
        principles = [
            next(decomposed).principles if q.principles is None else q.principles for q in questions
        ]
        asked = [
            _Asked(
                Sample(
                    self._profile.verify(q.instruction, known),
                    _within(self._scale, q.source, candidate),
                    "",
                ),
                known,
            )
            for q, known in zip(questions, principles, strict=True)
            if known is not None
            for candidate in q.candidates
        ]
        drawn = [
            self._engine.complete([a.sample for a in asked], sampling)
            for sampling in _draws(self._sampling, drawing)
        ]
        opinions = iter(
            self._opinion([completions[i] for completions in drawn], a.principles, drawing.samples)
            for i, a in enumerate(asked)
        )
        return [
            tuple(
                Opinion((None,) * drawing.samples) if known is None else next(opinions) for _ in q.candidates
            )
            for q, known in zip(questions, principles, strict=True)
        ]

    def _principles(self, text: str) -> tuple[Principle, ...] | None:
        try:
            return self._profile.parse_principles(text)
        except DecompositionError:
            return None

    def _opinion(
        self, completions: Sequence[Completion], principles: tuple[Principle, ...], samples: int
    ) -> Opinion:
        scores: list[float | None] = []
        met: list[list[bool]] = []
        probabilities: list[list[float | None]] = []
        for completion in completions:
            try:
                trace = self._profile.parse_trace(completion.text, principles)
            except TraceError:
                scores.append(None)
                continue
            scores.append(trace.score)
            met.append([verdict.met for verdict in trace.verdicts])
            probabilities.append([
                None if v.position is None else met_probability(completion.tokens, v.position)
                for v in trace.verdicts
            ])  # fmt: skip
        repeated = tuple(scores) * (samples // len(scores))
        texts = tuple(completion.text for completion in completions)
        if not met:
            return Opinion(repeated, texts=texts)
        return Opinion(
            repeated,
            tuple(majority(votes) for votes in zip(*met, strict=True)),
            tuple(_mean_known(shown) for shown in zip(*probabilities, strict=True)),
            texts,
        )


class ScoreOnlyJudge:
    """The holistic baseline's checkpoint (`data/score_only.py`)."""

    gives_verdicts = False

    def __init__(self, engine: Completer, card: RRMCard) -> None:
        self._engine = engine
        self._sampling = card.sampling
        self._scale = card.scale

    def decompose(self, questions: Sequence[Question]) -> list[Decomposition]:
        """A scorer has no principles."""
        return [Decomposition("", None)] * len(questions)

    def judge(self, questions: Sequence[Question], drawing: Drawing) -> list[tuple[Opinion, ...]]:
        """See `Judge`; principles are not shown to the scorer."""
        samples = [
            Sample(score_only_prompt(q.instruction), _within(self._scale, q.source, candidate), "")
            for q in questions
            for candidate in q.candidates
        ]
        drawn = [self._engine.complete(samples, s) for s in _draws(self._sampling, drawing)]
        texts = iter(zip(*([c.text for c in completions] for completions in drawn), strict=True))
        return [tuple(self._opinion(next(texts), drawing.samples) for _ in q.candidates) for q in questions]

    def _opinion(self, texts: tuple[str, ...], samples: int) -> Opinion:
        scores: list[float | None] = []
        for text in texts:
            try:
                scores.append(parse_score(text))
            except TraceError:
                scores.append(None)
        return Opinion(tuple(scores) * (samples // len(scores)), texts=texts)


def _within(scale: ImageScale, *images: Image.Image) -> tuple[Image.Image, ...]:
    """The images as the service shows them to the model: upright RGB, as large as the card says."""
    return tuple(EditImage.from_pil(image, scale).image for image in images)


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
