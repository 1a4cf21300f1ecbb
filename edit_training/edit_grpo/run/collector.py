"""One process's groups of an update: drawn, decoded, sent off one after another, and waited for.

With overlap a group is scored while the next one is drawn; without it each is waited for at once. What
goes wrong is told in the collection, not raised: all processes must hear of it before any leaves.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from edit_grpo.algorithms.algorithm import Algorithm, Group
from edit_grpo.algorithms.grpo import group_advantages
from edit_grpo.data.edits import Edit, EditOrder
from edit_grpo.errors import EditTrainingError
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.reward.scoring import GroupOutcome, GroupScorer, PendingGroup, busy_s, unscored
from edit_grpo.reward.shaping import shaped_rewards
from edit_grpo.rollout.rollout import generators_of, row_slices
from edit_grpo.run.candidates import ShownGroup, thumbnail
from edit_grpo.run.conditions import Conditions, EncodedEdit, UnusableEdit
from edit_grpo.run.records import GroupRecord, Seconds, record_of
from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.update import ScoredGroup
from edit_rrm_client import EditRRMClientError


@dataclass(frozen=True)
class Collection:
    """What came of an update's groups in one process. With an `error` there are no groups."""

    groups: tuple[ScoredGroup, ...]
    records: tuple[GroupRecord, ...]
    seconds: Seconds | None
    error: Exception | None = None
    shown: tuple[ShownGroup, ...] = ()
    """The first groups with their pictures, where they were asked for."""


@dataclass(frozen=True)
class _Drawn:
    edit: Edit
    group: Group | None
    """None of an edit that cannot be carried out."""
    shown: tuple[int, ...]
    """The candidates that could be decoded; the others have no reward."""
    pending: PendingGroup
    sources: tuple[Image.Image, ...] = ()
    candidates: tuple[Image.Image | None, ...] = ()
    """Small, of a group that will be shown."""


class Collector:
    """Draws groups with a policy and an algorithm and has them scored."""

    def __init__(
        self,
        settings: TrainSettings,
        policy: EditPolicy,
        algorithm: Algorithm,
        scorer: GroupScorer,
        edits: Sequence[Edit],
        conditions: Conditions,
        *,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._policy, self._algorithm = settings, policy, algorithm
        self._scorer, self._stop, self._clock = scorer, stop, clock
        self._conditions = conditions
        self._order = EditOrder(edits, settings.sampling.groups, settings.seed)

    def collect(self, update: int, numbers: Sequence[int], *, shown: int = 0) -> Collection:
        """The groups with these numbers of an update, both from 0; the first `shown` with their pictures."""
        drawn: list[_Drawn] = []
        outcomes: list[GroupOutcome] = []
        sampling_s = waiting_s = 0.0
        try:
            began_s = self._clock()
            encoded = self._conditions.of([self._order(update, number) for number in numbers])
            sampling_s += self._clock() - began_s
            for number, asked in zip(numbers, encoded, strict=True):
                began_s = self._clock()
                drawn.append(self._draw(update, number, asked, keep=len(drawn) < shown))
                sampling_s += self._clock() - began_s
                if not self._settings.reward.overlap:
                    waiting_s += self._wait(drawn, outcomes)
            waiting_s += self._wait(drawn, outcomes)
        except (EditTrainingError, EditRRMClientError) as error:
            return Collection((), (), None, error)
        learned = [self._learned(*each) for each in zip(drawn, outcomes, strict=True)]
        return Collection(
            tuple(scored for scored, _ in learned),
            tuple(record for _, record in learned),
            Seconds(sampling_s, waiting_s, 0.0, busy_s(outcomes)),
            shown=tuple(
                ShownGroup(each.edit.instruction, each.sources, each.candidates, record.rewards, record.error)
                for each, (_, record) in zip(drawn, learned, strict=True)
                if each.sources
            ),
        )

    def _draw(self, update: int, number: int, asked: EncodedEdit | UnusableEdit, *, keep: bool) -> _Drawn:
        if isinstance(asked, UnusableEdit):
            return _Drawn(asked.edit, None, (), unscored(asked.error, self._clock()))
        seed = self._settings.seed
        generators = generators_of(seed, update, number, self._settings.sampling.group_size)
        rng = random.Random(f"window-{seed}-{update}-{number}")
        group = self._algorithm.draw(asked.condition, generators, update, rng)
        latents = group.rollout.latents
        pictures = [
            picture
            for rows in row_slices(len(latents), self._settings.sampling.micro_batch)
            for picture in self._policy.decode(latents[rows])
        ]
        shown = {place: picture for place, picture in enumerate(pictures) if picture is not None}
        pending = self._scorer.submit(asked.edit, asked.sources, list(shown.values()), asked.canvas)
        if not keep:
            return _Drawn(asked.edit, group, tuple(shown), pending)
        small = tuple(picture and thumbnail(picture) for picture in pictures)
        return _Drawn(asked.edit, group, tuple(shown), pending, tuple(map(thumbnail, asked.sources)), small)

    def _wait(self, drawn: Sequence[_Drawn], outcomes: list[GroupOutcome]) -> float:
        """Adds the outcomes of the drawn groups that have none yet; returns the seconds it took."""
        began_s = self._clock()
        outcomes += [self._scorer.wait(each.pending, self._stop) for each in drawn[len(outcomes) :]]
        return self._clock() - began_s

    def _learned(self, drawn: _Drawn, outcome: GroupOutcome) -> tuple[ScoredGroup, GroupRecord]:
        rewards: list[float | None] = [None] * self._settings.sampling.group_size
        if outcome.answer is not None:
            shaped = shaped_rewards(outcome.answer, self._settings.reward)
            for place, reward in zip(drawn.shown, shaped, strict=True):
                rewards[place] = reward
        settings = self._settings.algorithm
        advantages = group_advantages(rewards, std_floor=settings.std_floor, clip=settings.advantage_clip)
        undecoded = 0 if drawn.group is None else len(rewards) - len(drawn.shown)
        record = record_of(drawn.edit.id, drawn.edit.category, rewards, advantages, outcome, undecoded)
        return ScoredGroup(drawn.group, advantages), record
