"""How many steps does GCPO need to re-weigh principles, where nothing has to be seen?

    PYTHONPATH=benchmarks .venv/bin/python research/gcpo_without_eyes.py [--seeds 3] [--steps 400]

The policy is a small network from gold verdicts to a score, written as a trace writes it: an integer part,
then a decimal. It learns the scores of the simulated teachers (SFT), then orders pairs of the shapes world by
GCPO, with the rewards and advantages of `edit_rrm_training.gcpo.credit.win_ratio`. It sees perfectly and has
one thing to learn, so a model that also has to see can hope for no fewer steps. Its learning rates are not
that model's. Pairs as in the reproduction (`edit_rrm_shapes.reproduce_rrm.plan`). Printed: greedy pairwise
accuracy on pairs of world 1000.
"""

import copy
import random
import statistics
from dataclasses import dataclass
from typing import Annotated

import torch
import typer
from rich.table import Table
from rig.report import console, progress
from torch import nn

from edit_rrm.principles import Category
from edit_rrm_shapes.reproduce_rrm.plan import FULL
from edit_rrm_shapes.teachers.habits import TEACHERS, judge, score_by_count
from edit_rrm_shapes.world.dataset import Candidate, EditRecord, make_edit, make_pairs
from edit_rrm_shapes.world.gold import is_no_edit
from edit_rrm_training.evaluation.metrics import pair_outcome
from edit_rrm_training.gcpo.credit.win_ratio import advantages, win_ratios

REPORTED = (25, 50, 100, 200, 400)
SFT_STEPS, SFT_BATCH, SFT_RATE = 1500, 128, 2e-3


@dataclass(frozen=True)
class Way:
    """What a run of GCPO is done with."""

    lr: float = 1e-3
    traces: int = 8
    pairs: int = 4
    temperature: float = 1.0
    screened: bool = True

    def __str__(self) -> str:
        data = "" if self.screened else ", all pairs"
        return (
            f"lr {self.lr:g}, {self.pairs} pairs × 2 × {self.traces}, temperature {self.temperature:g}{data}"
        )


WAYS = (
    Way(lr=1e-4), Way(lr=3e-4), Way(), Way(lr=3e-3), Way(pairs=8), Way(pairs=2, traces=16),
    Way(pairs=8, traces=4), Way(temperature=1.5), Way(screened=False),
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """Candidates as the policy sees them, [candidates, 7], their scores, and pairs of their places."""

    seen: torch.Tensor
    given: torch.Tensor  # [candidates, teachers]
    counted: torch.Tensor  # [candidates]
    pairs: torch.Tensor  # [pairs, 2], the preferred one first

    def close(self, within: float) -> "World":
        """With the pairs whose counted scores differ by less."""
        gaps = self.counted[self.pairs[:, 0]] - self.counted[self.pairs[:, 1]]
        return World(self.seen, self.given, self.counted, self.pairs[gaps.abs() < within])


def features(edit: EditRecord, candidate: Candidate) -> list[float]:
    """Gold verdicts by category, and whether anything happened."""
    met = {
        category: [
            finding.met
            for check, finding in zip(edit.checks, candidate.findings, strict=True)
            if check.category is category
        ]
        for category in Category
    }
    failed = [met[category].count(False) for category in (Category.KEEP, Category.QUALITY)]
    follow, number = met[Category.FOLLOW], len(edit.checks)
    return [
        sum(follow) / len(follow), len(follow) / 4, failed[0] / 4, failed[1] / 2, number / 10,
        _counted(edit, candidate) / 10, float(is_no_edit(edit.source, candidate.scene)),
    ]  # fmt: skip


def world_of(seed: int, edits: int) -> World:
    """The first `edits` edits of a world, and its pairs with a preference."""
    seen: list[list[float]] = []
    given: list[list[float]] = []
    counted: list[float] = []
    pairs: list[tuple[int, int]] = []
    rng = random.Random(seed)
    for edit in (make_edit(seed, index, 4) for index in range(edits)):
        first = len(seen)
        for candidate in edit.candidates:
            seen.append(features(edit, candidate))
            counted.append(0.0 if is_no_edit(edit.source, candidate.scene) else _counted(edit, candidate))
            opinions = (judge(edit, candidate, edit.checks, one, 0.0, rng) for one in TEACHERS.values())
            given.append([opinion.score for opinion in opinions])
        pairs += [
            (first + pair.preferred, first + pair.non_preferred)
            for pair in make_pairs(edit, seed)
            if pair.label == "prefer"
        ]
    return World(torch.tensor(seen), torch.tensor(given), torch.tensor(counted), torch.tensor(pairs))


class Policy(nn.Module):
    """From features to the log-probabilities of the integer part, [n, 11], and the decimal, [n, 11, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(7, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU())
        self.whole, self.decimal = nn.Linear(128, 11), nn.Linear(128, 110)

    def forward(self, seen: torch.Tensor, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        hidden = self.body(seen)
        decimal = self.decimal(hidden).view(-1, 11, 10)
        return (self.whole(hidden) / temperature).log_softmax(-1), (decimal / temperature).log_softmax(-1)

    @torch.no_grad()
    def greedy(self, seen: torch.Tensor) -> torch.Tensor:
        """The score read digit by digit, [n]."""
        whole, decimal = self(seen)
        first = whole.argmax(-1)
        return first + decimal[torch.arange(len(seen)), first].argmax(-1) / 10


def taught(world: World, seed: int) -> Policy:
    """A policy after SFT on the teachers' scores."""
    torch.manual_seed(seed)
    policy = Policy()
    optimizer = torch.optim.Adam(policy.parameters(), SFT_RATE)
    for _ in range(SFT_STEPS):
        rows = torch.randint(len(world.seen), (SFT_BATCH,))
        tenths = (world.given[rows, torch.randint(world.given.shape[1], (SFT_BATCH,))] * 10).round().long()
        whole, decimal = policy(world.seen[rows])
        here = torch.arange(SFT_BATCH)
        loss = -(whole[here, tenths // 10] + decimal[here, tenths // 10, tenths % 10]).mean()
        _step(optimizer, loss)
    return policy


def tuned(policy: Policy, world: World, way: Way, steps: int, held_out: World, seed: int) -> list[float]:
    """Accuracy on `held_out` after each of `REPORTED` steps of GCPO."""
    policy = copy.deepcopy(policy)
    optimizer = torch.optim.AdamW(policy.parameters(), way.lr, weight_decay=0.0)
    draws = torch.Generator().manual_seed(seed)
    found = []
    for step in range(1, steps + 1):
        rows = world.pairs[torch.randint(len(world.pairs), (way.pairs,), generator=draws)].view(-1)
        whole, decimal = policy(world.seen[rows], way.temperature)  # [2 × pairs, …]
        first = torch.multinomial(whole.exp(), way.traces, True, generator=draws)
        then = decimal.gather(1, first[..., None].expand(-1, -1, 10))  # [2 × pairs, traces, 10]
        second = torch.multinomial(then.exp().view(-1, 10), 1, generator=draws).view(first.shape)
        scores = (first + second / 10).view(way.pairs, 2, way.traces)
        advantage = advantages(win_ratios(scores)).view(first.shape)
        drawn = whole.gather(1, first) + then.gather(2, second[..., None])[..., 0]
        _step(optimizer, -(advantage * drawn).mean())
        if step in REPORTED:
            found.append(accuracy(policy, held_out))
    return found


def accuracy(policy: Policy, world: World) -> float:
    """Greedy pairwise accuracy, ties wrong."""
    scores = policy.greedy(world.seen)[world.pairs]
    return pair_outcome(map(tuple, scores.tolist())).accuracy.value


def _counted(edit: EditRecord, candidate: Candidate) -> float:
    return score_by_count([finding.met for finding in candidate.findings])


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each way.")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="Steps of GCPO.")] = 400,
    edits: Annotated[int, typer.Option(min=1, help="Edits of the training world.")] = 1500,
    held_out: Annotated[int, typer.Option(min=1, help="Edits of world 1000.")] = 400,
) -> None:
    """See the module."""
    torch.set_num_threads(1)
    data = FULL.data
    train, test = world_of(data.pairs_world, edits), world_of(data.validation_world, held_out)
    close = train.close(data.pairs_within)
    policies = [taught(train, seed) for seed in range(seeds)]
    reported = [step for step in REPORTED if step <= steps]
    table = Table(
        "GCPO", "steps 0", *map(str, reported),
        title=f"pairs right of {len(test.pairs)}, mean of {seeds} seeds",
    )  # fmt: skip
    before = statistics.fmean(accuracy(policy, test) for policy in policies)
    for way in WAYS:
        progress.print(str(way))
        runs = [
            tuned(policy, close if way.screened else train, way, steps, test, seed)
            for seed, policy in enumerate(policies)
        ]
        means = [statistics.fmean(values) for values in zip(*runs, strict=True)]
        table.add_row(str(way), f"{before:.3f}", *(f"{mean:.3f}" for mean in means))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
