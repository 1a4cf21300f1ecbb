"""Which training pairs GCPO draws: those whose candidates a verifier finds close to each other.

A pair whose traces all order it rightly teaches nothing, and most pairs are such pairs after SFT
(docs/notes/what-gcpo-can-move.md). The verifier is Stage 1's, so no preference and no
truth is looked at; validation and test pairs are not screened.
"""

import random
from collections.abc import Iterable, Iterator
from functools import lru_cache

from edit_rrm_shapes.teachers.habits import VERIFIER, judge
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.errors import StepError


def close_pairs(pairs: Iterable[PreferencePair], within: float) -> Iterator[PreferencePair]:
    """The pairs whose two verifier's scores differ by less than `within` points of 10.

    Raises StepError for a pair of other pictures than the shapes world's.
    """
    for pair in pairs:
        one, other = verifier_score(pair.preferred), verifier_score(pair.non_preferred)
        if abs(one - other) < within:
            yield pair


@lru_cache(maxsize=64)
def verifier_score(picture: str | bytes) -> float:
    """What the simulated verifier gives a candidate, the same each time."""
    known = ShapesRef.parse(picture)
    if known is None or known.candidate is None:
        raise StepError(f"screening needs a shapes:SEED/INDEX/CANDIDATE, got {picture!r:.60}")
    edit = known.edit()
    candidate = edit.candidates[known.candidate]
    return judge(edit, candidate, edit.checks, VERIFIER, 0.0, random.Random(f"screening-{known}")).score
