"""What a judge is to those who ask one: questions to a model, how an answer is read, and a judgement.

A judge knows prompts, texts and tokens; it runs no model. The service and the evaluation drive it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.judges.forms.answers import Subscores
from edit_rrm.judges.spec import PictureSpec, ThinkingSpec
from edit_rrm.principles import Category, Principle
from edit_rrm.prompts import Prompt, PromptProfile
from edit_rrm.tokens import Token
from edit_rrm.traces import Verdict
from edit_rrm.wire import MAX_SOURCES as MAX_SOURCES
from edit_rrm.wire import Sampling

NO_WISHES = Sampling()


@dataclass(frozen=True)
class AskKind:
    """What is known of an ask before there are principles.

    Of an answer of one token (`one_token`) only its probabilities count. `json_schema` is what a grammar may
    hold the answer to. `each` says that it is asked once for every principle.
    """

    name: str
    sampling: Sampling = NO_WISHES
    one_token: bool = False
    each: bool = False
    json_schema: str | None = None


@dataclass(frozen=True)
class Ask:
    """One question to the model about one candidate.

    `principle` is the index of the one it is about, None for all or none. `watched` are token texts whose
    log-probabilities the reading needs.
    """

    kind: AskKind
    prompt: Prompt
    watched: tuple[str, ...] = ()
    principle: int | None = None


@dataclass(frozen=True)
class Written:
    """What a model wrote for an ask, to its end: a text that was cut off is none.

    `opened`: whether the prompt ended inside a thought, None where nobody knows.
    """

    text: str
    tokens: Sequence[Token]
    opened: bool | None = None


@dataclass(frozen=True)
class Reading:
    """What one answer says: verdicts and score, or subscores. `probabilities` of "met", None: unknown."""

    text: str
    tokens: Sequence[Token]
    subscores: Subscores = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    probabilities: tuple[float | None, ...] = ()
    score: float | None = None  # 0 to 10, the model's own


@dataclass(frozen=True)
class Judgement:
    """One sample of a candidate: reward in [0, 1], score in [0, 10], and what they rest on."""

    reward: float
    score: float
    text: str
    tokens: Sequence[Token]
    verdicts: tuple[Verdict, ...] = ()
    probabilities: tuple[float | None, ...] = ()
    subscores: Subscores = field(default_factory=dict)


class Judge(Protocol):
    """How one family of checkpoints is asked, and how its answers become numbers."""

    @property
    def name(self) -> str:
        """As it is chosen by."""
        ...

    @property
    def version(self) -> str:
        """Of a judge file's content; "" for a judge of this package, whose version is the package's."""
        ...

    @property
    def needs_principles(self) -> bool:
        """Whether candidates are judged by principles; else none may be given."""
        ...

    @property
    def gives_verdicts(self) -> bool:
        """Whether an aggregator makes the reward; else the judge does."""
        ...

    @property
    def subscore_names(self) -> tuple[str, ...]:
        """What it gives besides, or instead of, verdicts."""
        ...

    @property
    def gives_score(self) -> bool:
        """Whether the model writes a score of its own, which `model_score` needs."""
        ...

    @property
    def max_sources(self) -> int:
        """How many source images it can be shown, 1 to `MAX_SOURCES`."""
        ...

    @property
    def sampling(self) -> Sampling:
        """Its defaults, which go before those of the checkpoint's card."""
        ...

    @property
    def passes(self) -> int:
        """Samples of a candidate where a request does not say."""
        ...

    @property
    def aggregator(self) -> AggregatorName | None:
        """Its default, which goes before the card's."""
        ...

    @property
    def pictures(self) -> PictureSpec:
        """What images are brought to."""
        ...

    @property
    def categories(self) -> Mapping[str, Category]:
        """Of the subscores that have one."""
        ...

    @property
    def thinking(self) -> ThinkingSpec | None:
        """How the model is told to think before it answers, or not to; None: nothing is known of that."""
        ...

    @property
    def chat_template(self) -> str | None:
        """Of all its prompts, instead of the checkpoint's own."""
        ...

    @property
    def decomposition(self) -> PromptProfile:
        """How principles are asked for, where they are needed."""
        ...

    @property
    def kinds(self) -> tuple[AskKind, ...]:
        """What it asks about each candidate."""
        ...

    def asks(
        self,
        instruction: str,
        principles: Sequence[Principle],
        sources: int = 1,
        *,
        thinking: bool | None = None,
    ) -> tuple[Ask, ...]:
        """What is asked about each candidate, all of which must be answered.

        `thinking`: whether the model is to think first; None: as the judge says.
        """
        ...

    def read(self, ask: Ask, written: Written, principles: Sequence[Principle]) -> Reading:
        """An answer to `ask`. Raises TraceError."""
        ...

    def judgement(
        self, readings: Sequence[Reading], principles: Sequence[Principle], aggregator: AggregatorName
    ) -> Judgement:
        """One sample from the readings of all asks, in their order. Raises TraceError."""
        ...


def mean_subscores(samples: Sequence[Subscores]) -> dict[str, float]:
    """The mean of each subscore over the samples that have it; one that no sample has is left out."""
    names = dict.fromkeys(name for sample in samples for name in sample)
    means = {}
    for name in names:
        present = [value for sample in samples if (value := sample.get(name)) is not None]
        if present:
            means[name] = math.fsum(present) / len(present)
    return means


def category_scores(
    subscores: Mapping[str, float], categories: Mapping[str, Category]
) -> dict[Category, float]:
    """The plain mean of the subscores of each category that has one, in the order of `Category`."""
    means = {}
    for category in Category:
        values = [value for name, value in subscores.items() if categories.get(name) is category]
        if values:
            means[category] = math.fsum(values) / len(values)
    return means
