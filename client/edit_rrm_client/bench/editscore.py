"""EditReward-Bench of EditScore (VectorSpaceLab, arXiv 2509.23909): two images, one dimension a row.

Verified in EditScore's own evaluation.py and calculate_statistics.py: the columns; that each output is
resized to the input's size before it is judged; that a row is right when the first image's score is
strictly higher, so that the first image is the preferred one and a tie is wrong; that the average over
task types, not over rows, is what is published. Not verified, for want of the data set here: its images
themselves, and that no row says otherwise; `Preferred` turns the order round.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from edit_rrm_client.bench.comparisons import DIMENSIONS, Comparison, Dimension, Label, edit_digest
from edit_rrm_client.bench.layout import LayoutRow, read_layout

Preferred = Literal["first", "second"]
NEEDED = ("key", "instruction", "input_image", "output_images", "task_type", "dimension")


def read_comparisons(files: Sequence[Path], preferred: Preferred = "first") -> Iterator[Comparison]:
    """The rows as comparisons. Raises InputError."""
    for row in read_layout(files, NEEDED):
        row.pair_of_texts("key")
        instruction, source = row.text("instruction"), row.image("input_image")
        left, right = row.pair_of_images("output_images")
        label = Label(
            row=row.name,
            group=edit_digest(instruction, source),
            k=2,
            task=row.text("task_type"),
            dimension=_dimension(row),
            vote=1 if preferred == "first" else -1,
        )
        yield Comparison(label, instruction, source, left, right)


def _dimension(row: LayoutRow) -> Dimension:
    named = row.text("dimension")
    for dimension in DIMENSIONS:
        if named == dimension:
            return dimension
    raise row.wrong("dimension", f"expected one of {', '.join(DIMENSIONS)}, got {named!r}")
