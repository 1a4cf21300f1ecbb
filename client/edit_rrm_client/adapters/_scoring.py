"""Scoring a trainer's batch: its groups side by side, one call each, and an outcome for every edit."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing, closing

from edit_rrm_client._async_client import AsyncRewardClient
from edit_rrm_client._client import RewardClient
from edit_rrm_client._groups import may_pass
from edit_rrm_client._many import DEFAULT_CONCURRENCY, ItemFailed, ItemResult, ScoreItem, ScoreOptions
from edit_rrm_client.adapters._edits import Edit, Group, groups_of
from edit_rrm_client.adapters._outcomes import Failed, Outcome, not_edited, outcome_of


def blocking_client(client: RewardClient | str | Sequence[str]) -> RewardClient:
    """The client, or a new one for the address or addresses."""
    return client if isinstance(client, RewardClient) else RewardClient(client)


def asyncio_client(client: AsyncRewardClient | str | Sequence[str]) -> AsyncRewardClient:
    """The client, or a new one for the address or addresses."""
    return client if isinstance(client, AsyncRewardClient) else AsyncRewardClient(client)


def score_edits(client: RewardClient, edits: Sequence[Edit], options: ScoreOptions) -> list[Outcome]:
    """An outcome for each edit, in order; the priority is `training` unless the options say otherwise.

    What may pass by itself (overload, no answer, the deadline, unusable model text) fails the edits of
    its group. Raises everything else: a wrong request, image, key or address would fail for ever.
    """
    groups = groups_of(edits, client.encoding)
    outcomes: list[Outcome] = [not_edited(place) for place in range(len(edits))]
    results = client.score_many(_items(edits, groups), concurrency=_at_once(groups), **_for_training(options))
    with closing(results):
        for result in results:
            _settle(outcomes, groups[result.index], result)
    return outcomes


async def score_edits_async(
    client: AsyncRewardClient, edits: Sequence[Edit], options: ScoreOptions
) -> list[Outcome]:
    """As `score_edits`; sources are encoded in a thread."""
    groups = await asyncio.to_thread(groups_of, edits, client.encoding)
    outcomes: list[Outcome] = [not_edited(place) for place in range(len(edits))]
    results = client.score_many(_items(edits, groups), concurrency=_at_once(groups), **_for_training(options))
    async with aclosing(results):
        async for result in results:
            _settle(outcomes, groups[result.index], result)
    return outcomes


def _items(edits: Sequence[Edit], groups: Sequence[Group]) -> Iterable[ScoreItem]:
    for number, group in enumerate(groups):
        candidates = [edited for place in group.places if (edited := edits[place].edited) is not None]
        yield ScoreItem(number, group.instruction, group.sources, candidates)


def _at_once(groups: Sequence[Group]) -> int:
    return max(1, min(len(groups), DEFAULT_CONCURRENCY))


def _for_training(options: ScoreOptions) -> ScoreOptions:
    with_priority: ScoreOptions = {"priority": "training"}
    with_priority.update(options)
    return with_priority


def _settle(outcomes: list[Outcome], group: Group, result: ItemResult) -> None:
    """Notes what became of a group's edits. Raises an error that will not pass by itself."""
    if isinstance(result, ItemFailed):
        if not may_pass(result.error):
            raise result.error
        for place in group.places:
            outcomes[place] = Failed(result.error)
        return
    for place, candidate in zip(group.places, result.answer.results, strict=True):
        outcomes[place] = outcome_of(result.answer, candidate, place)
