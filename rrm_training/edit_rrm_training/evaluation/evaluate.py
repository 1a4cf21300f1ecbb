"""Evaluates a checkpoint on held-out edits of the shapes world: traces, verdicts, pairs, decompositions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edit_rrm.checkpoint import RRMCard, SamplingDefaults
from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.principles import Category
from edit_rrm.profiles import TrainedProfile
from edit_rrm.traces import Trace, parse_trace
from edit_rrm_training.evaluation.metrics import JudgedVerdict, Share, pairwise, share, verdict_shares
from edit_rrm_training.shapes.dataset import SAME_ZONE, EditRecord, make_edit
from edit_rrm_training.tiny.tasks import PROFILE, Sample, verify_prompt

CHUNK = 64


class Completer(Protocol):
    """Anything that completes samples."""

    def complete(self, samples: Sequence[Sample], sampling: SamplingDefaults) -> list[str]:
        """One completion a sample, in order."""
        ...


@dataclass(frozen=True)
class JudgedEdit:
    """An edit with what the checkpoint wrote about it; a trace that did not parse is None."""

    edit: EditRecord
    traces: tuple[Trace | None, ...]
    texts: tuple[str, ...]
    decomposition: str


@dataclass(frozen=True)
class Evaluation:
    """The headline measures by name, and what they were measured on."""

    shares: dict[str, Share]
    edits: int
    candidates: int
    seed: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "seed": self.seed, "edits": self.edits, "candidates": self.candidates,
            "seconds": round(self.seconds, 1),
            "measures": {name: value.as_dict() for name, value in self.shares.items()},
        }  # fmt: skip

    def markdown(self) -> str:
        """A table of the measures."""
        rows = ["| measure | value | 95 % interval | n |", "|---|---|---|---|"]
        for name, value in self.shares.items():
            low, high = value.interval
            rows.append(f"| {name} | {value.value:.3f} | {low:.3f} – {high:.3f} | {value.total} |")
        return "\n".join(rows)


def _parse(text: str, count: int) -> Trace | None:
    try:
        return parse_trace(text, count)
    except TraceError:
        return None


def judge(engine: Completer, edits: Sequence[EditRecord], sampling: SamplingDefaults) -> list[JudgedEdit]:
    """Decomposes every edit and verifies its candidates with the gold principles."""
    decompose: list[Sample] = []
    verify: list[Sample] = []
    for edit in edits:
        source = edit.picture()
        decompose.append(Sample(PROFILE.decompose(edit.request.instruction, seed=0), (source,), ""))
        prompt = verify_prompt(edit)
        verify.extend(Sample(prompt, (source, c.picture()), "") for c in edit.candidates)
    decompositions = engine.complete(decompose, sampling)
    texts = iter(engine.complete(verify, sampling))
    judged = []
    for edit, decomposition in zip(edits, decompositions, strict=True):
        written = tuple(next(texts) for _ in edit.candidates)
        traces = tuple(_parse(text, len(edit.checks)) for text in written)
        judged.append(JudgedEdit(edit, traces, written, decomposition))
    return judged


def _judged_verdicts(judged: Sequence[JudgedEdit]) -> list[JudgedVerdict]:
    return [
        JudgedVerdict(check.category, finding.met, trace.verdicts[place].met if trace else None)
        for item in judged
        for candidate, trace in zip(item.edit.candidates, item.traces, strict=True)
        for place, (check, finding) in enumerate(zip(item.edit.checks, candidate.findings, strict=True))
    ]


def _follow_questions(principles: Sequence[tuple[Category, str]]) -> set[str]:
    return {question for category, question in principles if category is Category.FOLLOW}


def _decomposition_shares(judged: Sequence[JudgedEdit]) -> dict[str, Share]:
    """`names the edited thing`: every follow question says the right thing, place and property."""
    valid, named, exact = [], [], []
    profile = TrainedProfile()
    for item in judged:
        try:
            written = profile.parse_principles(item.decomposition)
        except DecompositionError:
            written = ()
        gold = [(check.category, check.question) for check in item.edit.checks]
        valid.append(bool(written))
        asked = [(p.category, p.question) for p in written]
        named.append(_follow_questions(asked) == _follow_questions(gold))
        exact.append(asked == gold)
    return {
        "decompositions that validate": share(valid),
        "decompositions that name the edited thing": share(named),
        "decompositions equal to gold": share(exact),
    }


def measure(judged: Sequence[JudgedEdit]) -> dict[str, Share]:
    """The headline measures of judged edits."""
    shares = {"traces that parse": share(trace is not None for item in judged for trace in item.traces)}
    for name, value in verdict_shares(_judged_verdicts(judged)).items():
        shares[f"verdict accuracy, {name}"] = value
    scores = [
        [
            (trace.score if trace else None, candidate.utility)
            for candidate, trace in zip(item.edit.candidates, item.traces, strict=True)
        ]
        for item in judged
    ]
    pairs = pairwise(scores, SAME_ZONE)
    shares["pairwise accuracy, score"] = pairs.accuracy
    shares["pairs tied by score"] = pairs.ties
    gold = [[(c.score, c.utility) for c in item.edit.candidates] for item in judged]
    shares["pairwise accuracy, gold score (ceiling of the verdicts)"] = pairwise(gold, SAME_ZONE).accuracy
    return {**shares, **_decomposition_shares(judged)}


def evaluate(
    engine: Completer,
    card: RRMCard,
    *,
    seed: int,
    count: int,
    candidate_count: int = 4,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Evaluation, list[JudgedEdit]]:
    """Measures a checkpoint on `count` edits of world `seed`; `progress` hears how many are done."""
    begun = time.perf_counter()
    judged: list[JudgedEdit] = []
    for start in range(0, count, CHUNK):
        edits = [make_edit(seed, i, candidate_count) for i in range(start, min(start + CHUNK, count))]
        judged += judge(engine, edits, card.sampling)
        progress(len(judged))
    return Evaluation(measure(judged), count, candidate_count, seed, time.perf_counter() - begun), judged
