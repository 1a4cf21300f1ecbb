"""From completions to judgements: verdict probabilities, samples, a candidate's answer. Pure functions."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edit_rrm.aggregators import aggregate, category_means, majority
from edit_rrm.checkpoint import AggregatorName
from edit_rrm.guards import GuardResult, reward_ceiling
from edit_rrm.principles import Principle
from edit_rrm.prompts import PromptProfile
from edit_rrm.tokens import Token
from edit_rrm.traces import Trace
from edit_rrm.verdict_probability import met_probability
from edit_rrm.wire import CandidateScored, GuardAnswer, SampleAnswer, VerdictAnswer
from edit_rrm_server.engines.engine import Completion


@dataclass(frozen=True)
class Sample:
    """One parsed trace. `probabilities` of "met" are 0 to 1, one per principle, None where unknown."""

    trace: Trace
    probabilities: tuple[float | None, ...]
    reward: float
    tokens: tuple[Token, ...]


def read_sample(
    completion: Completion,
    principles: Sequence[Principle],
    profile: PromptProfile,
    aggregator: AggregatorName,
) -> Sample:
    """The sample a completion holds. Raises TraceError."""
    trace = profile.parse_trace(completion.text, principles)
    probabilities = tuple(
        None if verdict.position is None else met_probability(completion.tokens, verdict.position)
        for verdict in trace.verdicts
    )
    reward = aggregate(
        aggregator,
        score=trace.score,
        principles=principles,
        met=[verdict.met for verdict in trace.verdicts],
        probabilities=probabilities,
    )
    return Sample(trace, probabilities, reward, completion.tokens)


def candidate_answer(
    samples: Sequence[Sample],
    principles: Sequence[Principle],
    guards: Sequence[GuardResult],
    *,
    enforce: bool,
    include: Sequence[str],
) -> CandidateScored:
    """A candidate's answer from at least one sample.

    Reward and score are means over samples; an enforced guard caps the reward and leaves the score
    and the samples as the model gave them. Verdicts are majorities, and average and categories follow
    from them; the evidence is that of the first sample that agrees with the majority.
    """
    met = [majority([s.trace.verdicts[i].met for s in samples]) for i in range(len(principles))]
    scores = [sample.trace.score for sample in samples]
    reward = statistics.fmean(sample.reward for sample in samples)
    ceiling = reward_ceiling(guards) if enforce else None
    return CandidateScored(
        reward=reward if ceiling is None else min(reward, ceiling),
        score=statistics.fmean(scores),
        average=statistics.fmean(met),
        categories=category_means(principles, met),
        verdicts=[_verdict(i, principle, met[i], samples) for i, principle in enumerate(principles)],
        guards=guard_answers(guards),
        samples=[_sample_answer(sample, include) for sample in samples],
        disagreement=statistics.pstdev(scores),
    )


def refused_by_guard(guards: Sequence[GuardResult]) -> CandidateScored:
    """The answer for a candidate whose enforced guards decide the reward without the model: 0."""
    return CandidateScored(reward=0.0, score=0.0, average=None, guards=guard_answers(guards))


def guard_answers(guards: Sequence[GuardResult]) -> list[GuardAnswer]:
    """Guard results as the API shows them."""
    return [GuardAnswer(name=g.name, triggered=g.triggered, value=g.value) for g in guards]


def _verdict(index: int, principle: Principle, met: bool, samples: Sequence[Sample]) -> VerdictAnswer:
    known = [p for p in (sample.probabilities[index] for sample in samples) if p is not None]
    verdicts = [sample.trace.verdicts[index] for sample in samples]
    return VerdictAnswer(
        principle=principle.id,
        met=met,
        probability=statistics.fmean(known) if known else None,
        evidence=next(verdict.evidence for verdict in verdicts if verdict.met == met),
    )


def _sample_answer(sample: Sample, include: Sequence[str]) -> SampleAnswer:
    return SampleAnswer(
        score=sample.trace.score,
        reward=sample.reward,
        reasoning=sample.trace.text if "reasoning" in include else None,
        tokens=[_token_answer(token) for token in sample.tokens] if "tokens" in include else None,
    )


def _token_answer(token: Token) -> dict[str, Any]:
    return {"text": token.text, "logprob": token.logprob, "alternatives": dict(token.alternatives)}
