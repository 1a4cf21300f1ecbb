"""Edits and preference pairs of the shapes world as rows that refer to pictures instead of holding them."""

from collections.abc import Iterator

from edit_rrm.principles import numbered
from edit_rrm_shapes.world.dataset import make_edit, make_pairs
from edit_rrm_shapes.world.references import ShapesRef
from edit_rrm_training.data.preferences import PreferencePair
from edit_rrm_training.pipeline.rows import EditRow


def shapes_edit_rows(seed: int, count: int) -> Iterator[EditRow]:
    """The first `count` edits of a world."""
    for index in range(count):
        source = ShapesRef(seed, index)
        request = source.edit().request
        yield EditRow(
            id=f"{seed}-{index}",
            instruction=request.instruction,
            source=str(source),
            category=request.category,
        )


def shapes_pair_rows(seed: int, count: int, candidates: int) -> Iterator[PreferencePair]:
    """All pairs among the candidates of the first `count` edits, with gold principles, "same" included."""
    for index in range(count):
        edit = make_edit(seed, index, candidates)
        principles = numbered((check.category, check.question) for check in edit.checks)
        for pair in make_pairs(edit, seed):
            yield PreferencePair(
                id=pair.id, instruction=edit.request.instruction, category=edit.request.category,
                source=str(ShapesRef(seed, index)), principles=principles, label=pair.label,
                preferred=str(ShapesRef(seed, index, pair.preferred)),
                non_preferred=str(ShapesRef(seed, index, pair.non_preferred)),
            )  # fmt: skip
