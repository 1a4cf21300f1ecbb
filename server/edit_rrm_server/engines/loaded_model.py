"""A checkpoint in an engine, and what identifies it: what loading one gives."""

from dataclasses import dataclass

from edit_rrm.checkpoint import RRMCard
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

    @property
    def name(self) -> str:
        """`name@weights_digest`, reported with every score."""
        return f"{self.card.name}@{self.weights_digest}"
