"""How a model ordered each test pair, kept pair by pair: two models were asked about the same pairs, and
their difference has a narrower interval than either accuracy. Pure but for its file."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.jsonl import read_rows, write_rows
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.evaluation.evaluate import JudgedEdit
from edit_rrm_training.evaluation.metrics import PairOutcome, pair_outcome

FILE = "pairs.jsonl"


class JudgedPair(BaseModel):
    """A pair's two scores; absent where no trace parsed. `edit` is what pairs share candidates within."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: str
    edit: str
    category: str
    preferred: float | None = None
    other: float | None = None

    @property
    def right(self) -> bool:
        """A tie is wrong, and so is a pair with an unscored candidate."""
        return self.preferred is not None and self.other is not None and self.preferred > self.other


def outcomes_of(
    judged: Sequence[JudgedEdit], pairs: Iterable[PreferencePair], world: int
) -> list[JudgedPair]:
    """The outcome of each pair. Raises KeyError for a pair whose candidates were not judged."""
    scores = {
        str(ShapesRef(world, index, number)): opinion.score()
        for index, item in enumerate(judged)
        for number, opinion in enumerate(item.opinions)
    }
    return [
        JudgedPair(
            pair=pair.id,
            edit=str(pair.source),
            category=pair.category or "",
            preferred=scores[str(pair.preferred)],
            other=scores[str(pair.non_preferred)],
        )
        for pair in pairs
    ]


def write_outcomes(folder: Path, outcomes: Iterable[JudgedPair]) -> None:
    """Writes them beside an evaluation."""
    write_rows(folder / FILE, outcomes)


def read_outcomes(folder: Path) -> list[JudgedPair]:
    """What `write_outcomes` wrote. Raises FileNotFoundError, RowError."""
    return list(read_rows(folder / FILE, JudgedPair))


def accuracy(outcomes: Sequence[JudgedPair]) -> PairOutcome:
    """Accuracy and ties over all pairs."""
    return pair_outcome((outcome.preferred, outcome.other) for outcome in outcomes)


def by_category(outcomes: Sequence[JudgedPair]) -> Mapping[str, PairOutcome]:
    """Accuracy and ties by the kind of edit."""
    kinds = sorted({outcome.category for outcome in outcomes})
    return {kind: accuracy([o for o in outcomes if o.category == kind]) for kind in kinds}
