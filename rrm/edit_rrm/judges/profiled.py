"""`ProfiledJudge`: our own two judges, `trained` and `zero_shot`, one trace a candidate."""

from collections.abc import Mapping, Sequence

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.judges.judge import NO_WISHES, Ask, AskKind, Judgement, Reading, Written
from edit_rrm.judges.spec import PictureSpec, ThinkingSpec
from edit_rrm.judges.trace_reading import trace_reading
from edit_rrm.judges.written import told_to_think, verdict_judgement
from edit_rrm.principles import Category, Principle
from edit_rrm.prompts import PromptProfile
from edit_rrm.verdict_probability import VERDICT_TEXTS

_VERIFY = AskKind("verify")


class ProfiledJudge:
    """See the module. Satisfies `Judge`."""

    version = ""
    needs_principles = True
    gives_verdicts = True
    gives_score = True
    subscore_names: tuple[str, ...] = ()
    passes = 1
    chat_template: str | None = None
    aggregator: AggregatorName | None = None
    sampling = NO_WISHES
    kinds = (_VERIFY,)
    pictures = PictureSpec()
    categories: Mapping[str, Category] = {}

    def __init__(
        self, profile: PromptProfile, *, max_sources: int = 1, thinking: ThinkingSpec | None = None
    ) -> None:
        self.profile = profile
        self.decomposition = profile
        self.name = profile.name
        self.max_sources = max_sources
        self.thinking = thinking

    def asks(
        self,
        instruction: str,
        principles: Sequence[Principle],
        sources: int = 1,
        *,
        thinking: bool | None = None,
    ) -> tuple[Ask, ...]:
        """See `Judge.asks`."""
        prompt = self.profile.verify(instruction, principles, sources)
        return (Ask(_VERIFY, told_to_think(prompt, self.thinking, thinking), VERDICT_TEXTS),)

    def read(self, ask: Ask, written: Written, principles: Sequence[Principle]) -> Reading:
        """See `Judge.read`."""
        answer = self.profile.parse_answer(written.text, principles, opened=written.opened, whole=True)
        return trace_reading(answer, written)

    def judgement(
        self, readings: Sequence[Reading], principles: Sequence[Principle], aggregator: AggregatorName
    ) -> Judgement:
        """See `Judge.judgement`."""
        return verdict_judgement(readings, principles, aggregator)
