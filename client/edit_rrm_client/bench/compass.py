"""EditReward-Compass (arXiv 2605.13062): pairs by dimension, some of them ties.

Verified in bxhsort/Edit-Compass-and-EditReward-Compass (EditReward-Compass/eval.py): a JSON list of
`source_image`, `prompt`, `winner`, `loser`, `label` (preference or tie) and `dimension`: IA, VC and VQ, which
are instruction following, consistency and visual quality. Its own evaluation calls scores equal within 1e-5
a tie. Not verified, for want of the data set here: where its paths start; here it is the file's folder.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from edit_rrm_client.bench.comparisons import Comparison, Dimension, Label, Vote, edit_digest
from edit_rrm_client.bench.layout import json_rows

DIMENSION_OF: Mapping[str, Dimension] = {"IA": "prompt_following", "VC": "consistency", "VQ": "quality"}
_VOTES: Mapping[str, Vote] = {"preference": 1, "tie": 0}


def read_comparisons(path: Path) -> Iterator[Comparison]:
    """The rows, the winner on the left. Raises InputError."""
    for row in json_rows(path):
        dimension = DIMENSION_OF.get(row.text("dimension"))
        if dimension is None:
            raise row.wrong("dimension", f"expected one of {', '.join(DIMENSION_OF)}")
        vote = _VOTES.get(row.text("label"))
        if vote is None:
            raise row.wrong("label", f"expected one of {', '.join(_VOTES)}")
        named = row.values.get("source_image")
        source, *more = [
            row.image_at("source_image", each) for each in (named if isinstance(named, list) else [named])
        ] or [b""]
        instruction = row.text("prompt")
        group = edit_digest(instruction, source, *more)
        label = Label(row=row.name, group=group, k=2, task="", dimension=dimension, vote=vote)
        winner, loser = (row.image_at(name, row.values.get(name)) for name in ("winner", "loser"))
        yield Comparison(label, instruction, source, winner, loser, tuple(more))
