"""EditReward-Bench of TIGER-Lab (arXiv 2509.26346): rankings of two, three or four images.

Verified in TIGER-AI-Lab's inference_2pair_hf.py, inference_3pair_hf.py, eval_bench.py and README: rows of
one pair each, `comparison_type` "AvsC" naming candidate_1 and candidate_2, `ranking` "C>A", or "A=B" in
pairs where people saw no difference; `dataset` "2pair" to "4pair"; the part of `id` before the first
underscore names the group; a group is right when all its comparisons are; 186, 150 and 148 groups.
Rows that hold all candidates and a ranking such as "C>A>B" are read too: eval_bench.py has that form in
JSON files of its own. Not verified, for want of the data set here: the Parquet files themselves, and
whether the published K=2 number counts ties by the fitted margin on both sides, as we do.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path

from edit_rrm_client.bench.comparisons import Comparison, Label, Vote
from edit_rrm_client.bench.layout import LayoutRow, read_layout

NEEDED = ("instruction", "source_image", "candidate_1", "candidate_2", "ranking")
LETTERS = "ABCD"


def read_comparisons(files: Sequence[Path]) -> Iterator[Comparison]:
    """The rows as comparisons; a row that ranks k images gives k(k-1)/2. Raises InputError."""
    for row in read_layout(files, NEEDED):
        images = {"A": row.image("candidate_1"), "B": row.image("candidate_2")}
        for letter, field in (("C", "candidate_3"), ("D", "candidate_4")):
            image = row.optional_image(field)
            if image is not None:
                images[letter] = image
        if row.values.get("comparison_type") is None:
            yield from _ranked(row, images)
        else:
            yield _pair(row, images["A"], images["B"])


def _pair(row: LayoutRow, left: bytes, right: bytes) -> Comparison:
    kind = row.text("comparison_type")
    if kind not in {f"{first}vs{second}" for first, second in permutations(LETTERS, 2)}:
        raise row.wrong("comparison_type", f"expected two of {LETTERS} as in AvsB, got {kind!r}")
    first, second = kind[0], kind[-1]
    k = _group_size(row)
    group = row.name if k == 2 else f"{k}/{row.text('id').partition('_')[0]}"
    return _comparison(row, k, group, _vote(row, first, second), left, right)


def _ranked(row: LayoutRow, images: dict[str, bytes]) -> Iterator[Comparison]:
    if len(images) == 2:
        yield _comparison(row, 2, row.name, _vote(row, "A", "B"), images["A"], images["B"])
        return
    places = row.text("ranking").replace(" ", "").split(">")
    if sorted(places) != sorted(images):
        raise row.wrong("ranking", f"expected an order of {', '.join(images)}, got {row.text('ranking')!r}")
    for left, right in combinations(images, 2):
        vote: Vote = 1 if places.index(left) < places.index(right) else -1
        yield _comparison(row, len(images), row.name, vote, images[left], images[right])


def _comparison(row: LayoutRow, k: int, group: str, vote: Vote, left: bytes, right: bytes) -> Comparison:
    label = Label(row=row.name, group=group, k=k, task="", dimension="overall", vote=vote)
    return Comparison(label, row.text("instruction"), row.image("source_image"), left, right)


def _vote(row: LayoutRow, first: str, second: str) -> Vote:
    """ "A>B", "B<A", "A=B", "A=B=Good" and the like for the two letters."""
    ranking = row.text("ranking").replace(" ", "")
    if ranking.partition("=Good")[0].partition("=Bad")[0] in (f"{first}={second}", f"{second}={first}"):
        return 0
    if ranking in (f"{first}>{second}", f"{second}<{first}"):
        return 1
    if ranking in (f"{second}>{first}", f"{first}<{second}"):
        return -1
    raise row.wrong("ranking", f"expected an order of {first} and {second}, got {row.text('ranking')!r}")


def _group_size(row: LayoutRow) -> int:
    """From `dataset` or, without it, from `num_candidates`, which TIGER-AI-Lab's RewardHarness reads."""
    name = row.values.get("dataset") or f"{row.values.get('num_candidates')}pair"
    if name not in ("2pair", "3pair", "4pair"):
        raise row.wrong("dataset", f"expected 2pair, 3pair or 4pair, got {name!r}")
    return int(name[0])
