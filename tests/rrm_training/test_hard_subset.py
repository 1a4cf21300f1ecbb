"""Hard instructions are found by their words."""

import pytest

from edit_rrm_training.pipeline.hard_subset import Hard, hard_kinds, hard_subset
from edit_rrm_training.pipeline.rows import EditRow


@pytest.mark.parametrize(
    ("instruction", "kinds"),
    [
        ("make the car blue", set()),
        ("change the background to a forest", set()),
        ("remove the dog and add a cat", {Hard.MULTI_STEP}),
        ("Crop the image. Then brighten it", {Hard.MULTI_STEP}),
        ("make the cup red and blue", set()),  # one step, two colours
        ("move the chair to the left of the table", {Hard.SPATIAL}),
        ("replace the logo with a star", {Hard.FINE_DETAIL}),
        ('change the sign to "OPEN"', {Hard.FINE_DETAIL}),
        ("it has just rained", {Hard.IMPLICIT}),
        ("make the room look like it is ready for a party", {Hard.IMPLICIT}),
        (
            "remove the ring and put a watch on the left hand",
            {Hard.MULTI_STEP, Hard.FINE_DETAIL, Hard.SPATIAL},
        ),
    ],
)
def test_an_instruction_is_hard_for_the_right_reasons(instruction: str, kinds: set[Hard]) -> None:
    assert hard_kinds(instruction) == kinds


def test_the_subset_holds_the_hard_ones_and_as_many_others_as_asked_for() -> None:
    texts = ["make it blue"] * 6 + ["remove the dog and add a cat"] * 4
    edits = [EditRow(id=str(n), instruction=text, source="s.png") for n, text in enumerate(texts)]
    every = hard_subset(edits, None, 2, seed=0)
    assert [e.id for e in every if int(e.id) >= 6] == ["6", "7", "8", "9"]
    assert len(every) == 6
    assert every == sorted(every, key=lambda e: int(e.id))
    few = hard_subset(edits, 1, 0, seed=0)
    assert len(few) == 1
    assert int(few[0].id) >= 6
    assert hard_subset(edits, 1, 0, seed=0) == few
