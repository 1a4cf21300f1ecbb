"""A checkpoint in an engine, and what identifies it: what loading one gives."""

from dataclasses import dataclass

from edit_rrm.checkpoint import RRMCard
from edit_rrm.judges.judge import Judge
from edit_rrm.judges.shelf import profiled
from edit_rrm.wire import names_of_model
from edit_rrm_server.engines.engine import Engine


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint in an engine, and what identifies it."""

    engine: Engine
    card: RRMCard
    weights_digest: str  # 12 hex digits
    architecture: str
    max_model_len: int | None  # tokens; None where a fleet does not say
    sequences: int | None = None  # what the engine runs in one step; None where a fleet does not say
    digest_of_weights: bool = True  # else of card and name: a fleet's weights that nobody here has seen
    chosen_judge: Judge | None = None  # another than the card's profile

    @property
    def judge(self) -> Judge:
        """Who judges."""
        return self.chosen_judge or profiled(self.card)

    @property
    def judge_name(self) -> str:
        """The judge's name, with the version of a judge file."""
        return ".".join(filter(None, (self.judge.name, self.judge.version)))

    prefix_reuse: float | None = None
    """Share of a group's common prompt that came from the cache at warm-up; None: nobody looked."""

    adapter: str = ""
    """The engine's name for the adapter that makes it another model than its weights alone."""

    further: "tuple[LoadedModel, ...]" = ()
    """Models of the same engine that a request may choose; they have none themselves."""

    @property
    def all(self) -> "tuple[LoadedModel, ...]":
        """This one, which serves a request that names none, and the further ones."""
        return (self, *self.further)

    @property
    def name(self) -> str:
        """`name@weights_digest`, reported with every score; `name+judge@…` for a judge that was chosen."""
        judge = f"+{self.judge_name}" if self.chosen_judge is not None else ""
        return f"{self.card.name}{judge}@{self.weights_digest}"

    @property
    def names(self) -> frozenset[str]:
        """What a request may call it."""
        return names_of_model(self.card.name, self.weights_digest, self.name)
