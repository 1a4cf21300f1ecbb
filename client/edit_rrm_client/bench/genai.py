"""GenAI-Bench, image edition (TIGER-Lab, arXiv 2406.04485): two images and a vote a row.

Verified in GenAI-Bench's inference.py and inference_configs.json: the columns and the four votes. A tie
and "both bad" are one answer here, since a pointwise judge does not choose between them; EditReward's
eval_bench.py does the same with this benchmark. Not verified, for want of the data set here: the Parquet
files themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edit_rrm_client.bench.comparisons import Comparison, Label, Vote, edit_digest
from edit_rrm_client.bench.layout import read_layout

NEEDED = ("instruct_prompt", "source_image", "left_output_image", "right_output_image", "vote_type")
VOTES: Mapping[str, Vote] = {"leftvote": 1, "rightvote": -1, "tievote": 0, "bothbad_vote": 0}


def read_comparisons(files: Sequence[Path]) -> Iterator[Comparison]:
    """The rows as comparisons. Raises InputError."""
    for row in read_layout(files, NEEDED):
        instruction, source = row.text("instruct_prompt"), row.image("source_image")
        vote = VOTES.get(row.text("vote_type"))
        if vote is None:
            raise row.wrong("vote_type", f"expected one of {', '.join(VOTES)}, got {row.text('vote_type')!r}")
        group = edit_digest(instruction, source)
        label = Label(row=row.name, group=group, k=2, task="", dimension="overall", vote=vote)
        left, right = row.image("left_output_image"), row.image("right_output_image")
        yield Comparison(label, instruction, source, left, right)
