"""The order in which GCPO sees its rows: whole pairs, each side N times in a row."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class PairSampler(Sampler[int]):  # type: ignore[misc]  # torch is Any here
    """Row indices 2k (preferred) and 2k + 1 (other) of shuffled pairs k.

    A rollout of `pairs_per_rollout` pairs is `[2k]*traces + [2k+1]*traces` for each of its pairs, and is
    emitted `repeats` times in a row: TRL asks for one batch a forward pass and generates for the first of
    them. Pairs that do not fill a rollout wait for another epoch. The order is a function of (seed, epoch)
    alone, so that a resumed run sees what a straight one sees.
    """

    def __init__(
        self, pairs: int, *, traces: int, pairs_per_rollout: int, repeats: int = 1, seed: int = 0
    ) -> None:
        if pairs < pairs_per_rollout:
            raise ValueError(f"a rollout takes {pairs_per_rollout} pairs and there are {pairs}")
        self._pairs = pairs
        self._traces = traces
        self._pairs_per_rollout = pairs_per_rollout
        self._repeats = repeats
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + 1_000_003 * self._epoch)
        order = torch.randperm(self._pairs, generator=generator).tolist()
        for start in range(0, self._rollouts * self._pairs_per_rollout, self._pairs_per_rollout):
            rollout = order[start : start + self._pairs_per_rollout]
            for _ in range(self._repeats):
                for pair in rollout:
                    yield from [2 * pair] * self._traces
                    yield from [2 * pair + 1] * self._traces

    def __len__(self) -> int:
        return self._rollouts * self._pairs_per_rollout * 2 * self._traces * self._repeats

    @property
    def _rollouts(self) -> int:
        return self._pairs // self._pairs_per_rollout
