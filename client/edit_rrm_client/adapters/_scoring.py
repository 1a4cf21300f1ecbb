"""Scoring a trainer's batch: its groups side by side, one call each, and an outcome for every edit."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing, closing

from edit_rrm_client._async_client import AsyncRewardClient
from edit_rrm_client._client import RewardClient
from edit_rrm_client._groups import may_pass
from edit_rrm_client._many import DEFAULT_CONCURRENCY, ItemFailed, ItemResult, ScoreItem, ScoreOptions
from edit_rrm_client.adapters._edits import Batch, Edit, Group, batch_of
from edit_rrm_client.adapters._outcomes import Failed, Outcome, not_edited, outcome_of
from edit_rrm_client.errors import InvalidRequestError


def blocking_client(client: RewardClient | str | Sequence[str]) -> RewardClient:
    """The client, or a new one for the address or addresses."""
    return client if isinstance(client, RewardClient) else RewardClient(client)


def asyncio_client(client: AsyncRewardClient | str | Sequence[str]) -> AsyncRewardClient:
    """The client, or a new one for the address or addresses."""
    return client if isinstance(client, AsyncRewardClient) else AsyncRewardClient(client)


def score_edits(
    client: RewardClient, edits: Sequence[Edit], options: ScoreOptions, *, alone: bool = False
) -> list[Outcome]:
    """An outcome for each edit, in order; the priority is `training` unless the options say otherwise.

    An edit that cannot be sent or scored fails alone, and so does a group whose call is refused or finds no
    room, no answer or no time. Raises what concerns all of them: a wrong key, another kind of server, and,
    where no edit of the batch could be scored, the first reason that will not pass by itself. Edits that come
    `alone`, one of a batch that nobody sees, prove nothing of the others: theirs are outcomes.
    """
    batch = batch_of(edits, client.encoding)
    outcomes = _beforehand(batch, len(edits))
    groups = batch.groups
    results = client.score_many(_items(groups), concurrency=_at_once(groups), **_for_training(options))
    with closing(results):
        for result in results:
            _settle(outcomes, groups[result.index], result)
    return outcomes if alone else _checked(outcomes)


async def score_edits_async(
    client: AsyncRewardClient, edits: Sequence[Edit], options: ScoreOptions, *, alone: bool = False
) -> list[Outcome]:
    """As `score_edits`; images are encoded in threads."""
    batch = await asyncio.to_thread(batch_of, edits, client.encoding)
    outcomes = _beforehand(batch, len(edits))
    groups = batch.groups
    results = client.score_many(_items(groups), concurrency=_at_once(groups), **_for_training(options))
    async with aclosing(results):
        async for result in results:
            _settle(outcomes, groups[result.index], result)
    return outcomes if alone else _checked(outcomes)


def _beforehand(batch: Batch, count: int) -> list[Outcome]:
    """What is known before anybody is asked; the places of groups are filled in later."""
    return [batch.failed.get(place) or not_edited(place) for place in range(count)]


def _checked(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes. Raises the first error that will not pass, where there is nothing else."""
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
    lasting = [error for error in errors if not may_pass(error)]
    if lasting and len(errors) == len(outcomes):
        raise lasting[0]
    return outcomes


def _items(groups: Sequence[Group]) -> Iterable[ScoreItem]:
    for number, group in enumerate(groups):
        yield ScoreItem(number, group.instruction, group.sources, group.edited)


def _at_once(groups: Sequence[Group]) -> int:
    return max(1, min(len(groups), DEFAULT_CONCURRENCY))


def _for_training(options: ScoreOptions) -> ScoreOptions:
    with_priority: ScoreOptions = {"priority": "training"}
    with_priority.update(options)
    return with_priority


def _settle(outcomes: list[Outcome], group: Group, result: ItemResult) -> None:
    """Notes what became of a group's edits. Raises an error that all other groups would meet, too."""
    if isinstance(result, ItemFailed):
        if not may_pass(result.error) and not isinstance(result.error, InvalidRequestError):
            raise result.error
        for place in group.places:
            outcomes[place] = Failed(result.error)
        return
    for place, candidate in zip(group.places, result.answer.results, strict=True):
        outcomes[place] = outcome_of(result.answer, candidate, place)
