"""`WrittenJudge`: a judge that a judge file describes (spec.py)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from edit_rrm.aggregators import aggregate
from edit_rrm.checkpoint import AggregatorName
from edit_rrm.errors import TraceError
from edit_rrm.judges import TrainedProfile, ZeroShotProfile, get_profile
from edit_rrm.judges.forms.answers import JsonScores, TraceForm
from edit_rrm.judges.judge import MAX_SOURCES, Ask, AskKind, Judgement, Reading, Written
from edit_rrm.judges.spec import (
    MAX_SCORE,
    SLOT,
    AskSpec,
    ImagePart,
    JudgeSpec,
    PictureSpec,
    SpokenMessage,
    ThinkingSpec,
)
from edit_rrm.judges.texts.thinking import answer_start
from edit_rrm.judges.trace_reading import trace_reading
from edit_rrm.judges.trained import principle_lines
from edit_rrm.principles import Category, Principle
from edit_rrm.prompts import SOURCE_SLOTS, ImageSlot, Message, Prompt, PromptProfile
from edit_rrm.tokens import Token
from edit_rrm.traces import Verdict
from edit_rrm.untrusted_text import neutralise
from edit_rrm.verdict_probability import VERDICT_TEXTS
from edit_rrm.wire import Sampling

_TRACES: Mapping[str, PromptProfile] = {"1": TrainedProfile(), "json": ZeroShotProfile()}
"""Who reads each format of a trace."""


class WrittenJudge:
    """See the module. Satisfies `Judge`. Raises JudgeError for a spec whose expressions do not fit."""

    def __init__(self, spec: JudgeSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.version = spec.version
        self.needs_principles = spec.needs_principles
        self.gives_verdicts = spec.gives_verdicts
        self.subscore_names = (
            ()
            if spec.gives_verdicts
            else tuple(name for ask in spec.asks for name in ask.answer.subscore_names)
        )
        self.gives_score = spec.gives_verdicts and spec.asks[0].each is None
        self.max_sources = MAX_SOURCES if spec.takes_several_sources else 1
        self.sampling: Sampling = spec.sampling
        self.passes = spec.passes
        self.thinking = spec.chat.thinking
        self.chat_template = spec.chat.template
        self.decomposition = get_profile(spec.decomposition)
        self.aggregator: AggregatorName | None = spec.aggregator or (
            "soft" if spec.asks[0].each is not None else None
        )
        self.pictures: PictureSpec = spec.pictures
        self.categories: Mapping[str, Category] = {
            name: known.category for name, known in spec.subscores.items() if known.category is not None
        }
        self._reward, self._score = spec.expressions()
        self._kinds = {ask.name: _kind(ask) for ask in spec.asks}
        self.kinds = tuple(self._kinds.values())
        self._answers = {ask.name: ask.answer for ask in spec.asks}

    def asks(
        self,
        instruction: str,
        principles: Sequence[Principle],
        sources: int = 1,
        *,
        thinking: bool | None = None,
    ) -> tuple[Ask, ...]:
        """See `Judge.asks`."""
        return tuple(self._asked(instruction, principles, sources, thinking))

    def read(self, ask: Ask, written: Written, principles: Sequence[Principle]) -> Reading:
        """See `Judge.read`."""
        answer, text, tokens = self._answers[ask.kind.name], written.text, written.tokens
        if isinstance(answer, TraceForm):
            trace = _TRACES[answer.format].parse_answer(text, principles, opened=written.opened, whole=True)
            return trace_reading(trace, written)
        start = 0 if ask.kind.one_token else answer_start(text, TraceError, opened=written.opened)
        subscores = answer.read(text[start:], tokens)
        if ask.principle is None:
            return Reading(text, tokens, subscores)
        (probability,) = subscores.values()
        assert probability is not None
        verdict = Verdict(met=probability > 0.5, evidence="")
        return Reading(text, tokens, verdicts=(verdict,), probabilities=(probability,))

    def judgement(
        self, readings: Sequence[Reading], principles: Sequence[Principle], aggregator: AggregatorName
    ) -> Judgement:
        """See `Judge.judgement`."""
        if self.gives_verdicts:
            return verdict_judgement(readings, principles, aggregator)
        subscores = {name: value for reading in readings for name, value in reading.subscores.items()}
        assert self._reward is not None
        reward = self._reward.value(subscores)
        score = MAX_SCORE * reward if self._score is None else self._score.value(subscores)
        return Judgement(reward, score, _joined(readings), _tokens(readings), subscores=subscores)

    def _asked(
        self, instruction: str, principles: Sequence[Principle], sources: int, thinking: bool | None
    ) -> Iterator[Ask]:
        lines = principle_lines([(p.category, neutralise(p.question)) for p in principles])
        shared = {"instruction": neutralise(instruction), "principles": lines, "count": str(len(principles))}
        for spec in self.spec.asks:
            if spec.each is None:
                yield self._ask(spec, shared, sources, thinking)
                continue
            for index, principle in enumerate(principles):
                own = {
                    "number": str(index + 1),
                    "question": neutralise(principle.question),
                    "category": principle.category.value,
                }
                yield self._ask(spec, shared | own, sources, thinking, index)

    def _ask(
        self,
        spec: AskSpec,
        values: Mapping[str, str],
        sources: int,
        thinking: bool | None,
        principle: int | None = None,
    ) -> Ask:
        arguments = tuple(sorted(self.spec.chat.template_arguments.items()))
        messages = tuple(_message(m, values, sources) for m in spec.messages)
        prompt = Prompt(messages, arguments, self.chat_template)
        answer = spec.answer
        return Ask(
            kind=self._kinds[spec.name],
            prompt=told_to_think(prompt, self.thinking, thinking),
            watched=VERDICT_TEXTS if isinstance(answer, TraceForm) else answer.watched,
            principle=principle,
        )


def verdict_judgement(
    readings: Sequence[Reading], principles: Sequence[Principle], aggregator: AggregatorName
) -> Judgement:
    """The sample of a judge of principles: its verdicts aggregated, and the model's own score if it has one.

    Raises TraceError, where `soft` misses a probability too.
    """
    verdicts = tuple(verdict for reading in readings for verdict in reading.verdicts)
    probabilities = tuple(p for reading in readings for p in reading.probabilities)
    own = [reading.score for reading in readings if reading.score is not None]
    if aggregator == "model_score" and not own:
        raise TraceError("no <score> after the verdicts", _joined(readings))
    reward = aggregate(
        aggregator,
        score=own[0] if own else 0.0,
        principles=principles,
        met=[verdict.met for verdict in verdicts],
        probabilities=probabilities,
    )
    score = own[0] if own else MAX_SCORE * reward
    return Judgement(reward, score, _joined(readings), _tokens(readings), verdicts, probabilities)


def told_to_think(prompt: Prompt, spec: ThinkingSpec | None, wanted: bool | None) -> Prompt:
    """The prompt with the template's argument for thinking, where the judge knows one."""
    if spec is None:
        return prompt
    thinking = spec.enabled if wanted is None else wanted
    return replace(prompt, template_arguments=(*prompt.template_arguments, (spec.argument, thinking)))


def _kind(spec: AskSpec) -> AskKind:
    answer = spec.answer
    return AskKind(
        name=spec.name,
        sampling=spec.sampling,
        one_token=answer.max_tokens == 1,
        each=spec.each is not None,
        json_schema=json.dumps(answer.json_schema()) if isinstance(answer, JsonScores) else None,
    )


def _message(spec: SpokenMessage, values: Mapping[str, str], sources: int) -> Message:
    parts: list[str | ImageSlot] = []
    for part in spec.parts:
        if isinstance(part, ImagePart):
            parts.extend(_slots(part, sources))
        else:
            parts.append(SLOT.sub(lambda m: values[m[2]] if m[2] else f"{{{m[1]}}}", part))
    return Message(spec.role, tuple(parts))


def _slots(part: ImagePart, sources: int) -> Iterator[str | ImageSlot]:
    if part.image == "candidate":
        yield ImageSlot.CANDIDATE
        return
    shown = SOURCE_SLOTS[: sources if part.image == "sources" else 1]
    for number, slot in enumerate(shown, start=1):
        if part.label and len(shown) > 1:
            yield part.label.replace("{number}", str(number))
        yield slot


def _joined(readings: Sequence[Reading]) -> str:
    return "\n\n".join(reading.text for reading in readings)


def _tokens(readings: Sequence[Reading]) -> Sequence[Token]:
    """Of all answers; an offset counts in the joined text."""
    if len(readings) == 1:
        return readings[0].tokens
    tokens: list[Token] = []
    start = 0
    for reading in readings:
        tokens.extend(Token(t.text, start + t.offset, t.logprob, t.alternatives) for t in reading.tokens)
        start += len(reading.text) + 2
    return tokens
