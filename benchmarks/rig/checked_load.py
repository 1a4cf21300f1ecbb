"""Honest callers beside a fault: each of their calls must be answered, as the quiet service did."""

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from edit_rrm_client import AsyncRewardClient, EditRRMClientError, RetryPolicy
from rig.calls import Group

TOLERANCE = 1e-4
_REFUSED_AT_THE_END = ("draining", "unreachable")
PATIENT = RetryPolicy(attempts=200, max_backoff_s=3.0)
Rewards = list[float | None]


def same_rewards(found: Rewards, expected: Rewards) -> bool:
    """Whether no reward differs; a candidate that failed has none, which is none too many."""
    return all(
        a is None or (b is not None and math.isclose(a, b, abs_tol=TOLERANCE))
        for a, b in zip(found, expected, strict=True)
    )


@dataclass
class Tally:
    """What came of the calls. `failed` counts candidates without a reward in calls that were answered."""

    asked: int = 0
    answered: int = 0
    lost: int = 0
    different: int = 0
    failed: int = 0
    refused: int = 0
    examples: list[str] = field(default_factory=list)

    def answer(self, rewards: Rewards, expected: Rewards) -> None:
        """Notes an answer beside the reference."""
        self.answered += 1
        self.failed += sum(a is None and b is not None for a, b in zip(rewards, expected, strict=True))
        if not same_rewards(rewards, expected):
            self.different += 1
            self.examples.append(f"{rewards} instead of {expected}")


class Load:
    """Callers that send one group after the other while the block runs; it ends when all are answered.

    With `patient` they try again until they are answered; else a refusal ends a caller, which counts.
    """

    def __init__(
        self,
        url: str,
        groups: Sequence[Group],
        expected: Sequence[Rewards],
        tally: Tally,
        *,
        callers: int = 4,
        patient: bool = True,
        seed: int = 0,
    ) -> None:
        self._url = url
        self._known = list(zip(groups, expected, strict=True))
        self._callers = callers
        self._patient = patient
        self._seed = seed
        self._stop = False
        self._tasks: list[asyncio.Task[None]] = []
        self.tally = tally

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(self._callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def _call(self, number: int) -> None:
        dice = random.Random(f"{self._seed}-{number}")
        retries = PATIENT if self._patient else RetryPolicy(attempts=1)
        async with AsyncRewardClient(self._url, retries=retries, timeout_s=900.0) as client:
            while not self._stop:
                group, expected = dice.choice(self._known)
                self.tally.asked += 1
                try:
                    self.tally.answer(await rewards_of(client, group), expected)
                except EditRRMClientError as error:
                    if not self._patient and error.code in _REFUSED_AT_THE_END:
                        self.tally.refused += 1
                        return
                    self.tally.lost += 1
                    self.tally.examples.append(repr(error))
                    if not self._patient:
                        return


async def rewards_of(client: AsyncRewardClient, group: Group) -> Rewards:
    """Of a group's candidates, in order."""
    answer = await client.score(
        group.instruction, group.source, group.candidates, principles=group.principles
    )
    return [result.reward for result in answer.results]


async def learned(url: str, groups: Sequence[Group]) -> list[Rewards]:
    """What the quiet service says of each group alone."""
    async with AsyncRewardClient(url, retries=PATIENT, timeout_s=900.0) as client:
        return [await rewards_of(client, group) for group in groups]
