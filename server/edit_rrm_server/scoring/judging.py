"""From a candidate's judgements to its answer. Pure functions."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from edit_rrm.aggregators import category_means, majority
from edit_rrm.guards import GuardResult, reward_ceiling
from edit_rrm.judges.judge import Judgement, category_scores, mean_subscores
from edit_rrm.principles import Category, Principle
from edit_rrm.tokens import Token
from edit_rrm.wire import AlignmentAnswer, CandidateScored, GuardAnswer, SampleAnswer, VerdictAnswer


def candidate_answer(
    samples: Sequence[Judgement],
    principles: Sequence[Principle],
    guards: Sequence[GuardResult],
    *,
    include: Sequence[str],
    subscore_categories: Mapping[str, Category] | None = None,
) -> CandidateScored:
    """A candidate's answer from at least one sample.

    Reward and score are means over samples; a guard that decides caps the reward and leaves the score
    and the samples as the model gave them. Verdicts are majorities, and average and categories follow
    from them; the evidence is that of the first sample that agrees with the majority. Where a judge gives
    subscores instead, categories are the means of theirs.
    """
    judged = principles if samples[0].verdicts else ()
    met = [majority([s.verdicts[i].met for s in samples]) for i in range(len(judged))]
    scores = [sample.score for sample in samples]
    reward = statistics.fmean(sample.reward for sample in samples)
    ceiling = reward_ceiling(guards)
    subscores = mean_subscores([sample.subscores for sample in samples])
    return CandidateScored(
        reward=reward if ceiling is None else min(reward, ceiling),
        score=statistics.fmean(scores),
        average=statistics.fmean(met) if met else None,
        categories=category_means(judged, met) or category_scores(subscores, subscore_categories or {}),
        verdicts=[_verdict(i, principle, met[i], samples) for i, principle in enumerate(judged)],
        guards=guard_answers(guards),
        samples=[_sample_answer(sample, include) for sample in samples],
        disagreement=statistics.pstdev(scores),
        subscores=subscores,
    )


def refused_by_guard(guards: Sequence[GuardResult]) -> CandidateScored:
    """The answer for a candidate whose guards decide the reward without the model: 0."""
    return CandidateScored(reward=0.0, score=0.0, average=None, guards=guard_answers(guards))


def guard_answers(guards: Sequence[GuardResult]) -> list[GuardAnswer]:
    """Guard results as the API shows them."""
    return [
        GuardAnswer(
            name=guard.name,
            triggered=guard.triggered,
            value=guard.value,
            decides=guard.decides,
            note=guard.note,
            alignment=None if guard.alignment is None else AlignmentAnswer(**asdict(guard.alignment)),
        )
        for guard in guards
    ]


def _verdict(index: int, principle: Principle, met: bool, samples: Sequence[Judgement]) -> VerdictAnswer:
    known = [p for p in (sample.probabilities[index] for sample in samples) if p is not None]
    verdicts = [sample.verdicts[index] for sample in samples]
    return VerdictAnswer(
        principle=principle.id,
        met=met,
        probability=statistics.fmean(known) if known else None,
        evidence=next(verdict.evidence for verdict in verdicts if verdict.met == met),
    )


def _sample_answer(sample: Judgement, include: Sequence[str]) -> SampleAnswer:
    return SampleAnswer(
        score=sample.score,
        reward=sample.reward,
        subscores=mean_subscores([sample.subscores]),
        reasoning=sample.text if "reasoning" in include else None,
        tokens=[_token_answer(token) for token in sample.tokens] if "tokens" in include else None,
    )


def _token_answer(token: Token) -> dict[str, Any]:
    return {"text": token.text, "logprob": token.logprob, "alternatives": dict(token.alternatives)}
