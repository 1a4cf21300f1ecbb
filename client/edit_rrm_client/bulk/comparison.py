"""Two sides on the same edits: who wins, by how much, where. Reads rows, prints nothing.

A side's value on an edit is the mean over its scored candidates; an edit without one on either side is
left out and counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from edit_rrm.principles import Category
from edit_rrm_client.bulk.errors import InputError
from edit_rrm_client.bulk.rows import ResultRow
from edit_rrm_client.bulk.statistics import Mean, WinRate, bootstrap_mean, win_rate

Size = tuple[int, int]  # width, height
ASPECTS = tuple(category.value for category in Category)


@dataclass
class EditScores:
    """One side's scored candidates of one edit."""

    category: str
    instruction: str
    rewards: list[float] = field(default_factory=list)
    aspects: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Mean verdicts by principle category."""
    sizes: set[Size] = field(default_factory=set)
    """Of the edited pictures that were looked at."""


@dataclass(frozen=True)
class Side:
    """One side: its edits by id, in the order of their rows."""

    name: str
    edits: Mapping[str, EditScores]
    failed: int
    """Candidates without a reward."""
    rrms: frozenset[str]
    limited: Mapping[str, int] = field(default_factory=dict)
    """Candidates whose reward a guard limited, by guard."""


@dataclass(frozen=True)
class EditDifference:
    """One edit's rewards; `difference` is B − A."""

    id: str
    category: str
    instruction: str
    a: float
    b: float

    @property
    def difference(self) -> float:
        return self.b - self.a


@dataclass(frozen=True)
class Comparison:
    """B against A. Differences are B − A."""

    a: str
    b: str
    win_rate: WinRate
    difference: Mean
    by_category: Mapping[str, tuple[WinRate, Mean]]
    by_aspect: Mapping[str, Mean]
    """Differences of the mean verdicts, over edits where both sides have some of that principle category."""
    most_different: tuple[EditDifference, ...]
    """Largest absolute difference first; ties of A and B left out."""
    left_out: int
    failed_a: int
    failed_b: int
    limited_a: Mapping[str, int]
    limited_b: Mapping[str, int]
    """Candidates whose reward a guard limited, by guard."""
    sizes_looked_at: int
    """Edits of which a picture of each side was found."""
    sizes_differ: int
    """Of them, edits whose pictures have no size in common."""
    sizes_example: tuple[Size, Size] | None
    """A's and B's size in the first of those."""


def _unknown(_: ResultRow) -> Size | None:
    return None


def side_of(
    rows: Iterable[ResultRow],
    name: str,
    model: str | None,
    size_of: Callable[[ResultRow], Size | None] = _unknown,
) -> Side:
    """The rows of one editor, or all of them when `model` is None; `size_of` looks at an edited picture.

    Raises InputError when an edit's rows disagree about its instruction, or none is of that editor.
    """
    edits: dict[str, EditScores] = {}
    rrms: set[str] = set()
    models: set[str] = set()
    failed = 0
    limited: Counter[str] = Counter()
    for row in rows:
        models.add(row.model)
        if model is not None and row.model != model:
            continue
        edit = edits.setdefault(row.id, EditScores(row.category, row.instruction))
        if edit.instruction != row.instruction:
            raise InputError(f"{name}: rows of the edit {row.id!r} have different instructions")
        if row.reward is None:
            failed += 1
            continue
        edit.rewards.append(row.reward)
        limited.update(guard.name for guard in row.guards if guard.decides)
        if (size := size_of(row)) is not None:
            edit.sizes.add(size)
        for aspect in ASPECTS:
            value = getattr(row, aspect)
            if value is not None:
                edit.aspects[aspect].append(value)
        rrms.add(row.rrm or "")
    if not edits:
        found = ", ".join(repr(name) for name in sorted(models)) or "none"
        raise InputError(f"{name}: no rows of the editor {model!r}; editors there: {found}")
    return Side(name, edits, failed, frozenset(rrms), dict(limited))


def compare_sides(a: Side, b: Side, *, seed: int = 0, most: int = 10) -> Comparison:
    """B against A on the edits that both have scored.

    Raises InputError when there is none, when the same id is another edit, or when different reward
    models scored them.
    """
    if len(a.rrms | b.rrms) > 1:
        raise InputError(f"scores of different reward models do not compare: {sorted(a.rrms | b.rrms)}")
    pairs = [_pair(edit, a.edits[edit], b.edits[edit]) for edit in a.edits if edit in b.edits]
    shared = [pair for pair in pairs if pair is not None]
    if not shared:
        raise InputError(f"no edit is scored by both {a.name} and {b.name}; they are matched by `id`")
    by_category: dict[str, list[float]] = defaultdict(list)
    for pair in shared:
        by_category[pair.category].append(pair.difference)
    differences = [pair.difference for pair in shared]
    seen = [
        (a.edits[pair.id].sizes, b.edits[pair.id].sizes)
        for pair in shared
        if a.edits[pair.id].sizes and b.edits[pair.id].sizes
    ]
    apart = [(min(ours), min(theirs)) for ours, theirs in seen if not ours & theirs]
    ranked = sorted((pair for pair in shared if pair.difference), key=lambda pair: -abs(pair.difference))
    return Comparison(
        a=a.name,
        b=b.name,
        win_rate=win_rate(differences),
        difference=bootstrap_mean(differences, seed=seed),
        by_category={
            name: (win_rate(values), bootstrap_mean(values, seed=seed))
            for name, values in sorted(by_category.items())
        },
        by_aspect=_by_aspect(a, b, seed),
        most_different=tuple(ranked[:most]),
        left_out=len(a.edits.keys() | b.edits.keys()) - len(shared),
        failed_a=a.failed,
        failed_b=b.failed,
        limited_a=a.limited,
        limited_b=b.limited,
        sizes_looked_at=len(seen),
        sizes_differ=len(apart),
        sizes_example=apart[0] if apart else None,
    )


def _pair(edit: str, a: EditScores, b: EditScores) -> EditDifference | None:
    if a.instruction != b.instruction:
        raise InputError(f"the edit {edit!r} has different instructions on the two sides")
    if not a.rewards or not b.rewards:
        return None
    return EditDifference(edit, a.category or b.category, a.instruction, _mean(a.rewards), _mean(b.rewards))


def _by_aspect(a: Side, b: Side, seed: int) -> dict[str, Mean]:
    found = {}
    for aspect in ASPECTS:
        differences = [
            _mean(b.edits[edit].aspects[aspect]) - _mean(scores.aspects[aspect])
            for edit, scores in a.edits.items()
            if aspect in scores.aspects and edit in b.edits and aspect in b.edits[edit].aspects
        ]
        if differences:
            found[aspect] = bootstrap_mean(differences, seed=seed)
    return found


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
