"""A bounded window of groups on the wire at once: results are kept as they come, and a stop drains it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from edit_rrm_client.bulk.groups import Group
from edit_rrm_client.bulk.rows import ResultRow

Ask = Callable[[Group], Awaitable[Sequence[ResultRow]]]
Keep = Callable[[Sequence[ResultRow]], None]


@dataclass(frozen=True)
class Width:
    """How much is on the wire at once: so many calls, and more while they hold fewer than so many edits."""

    calls: int
    edits: int = 0

    def has_room(self, calls: int, edits: int) -> bool:
        """For another group beside those under way."""
        return calls < self.calls or edits < self.edits


async def score_groups(
    groups: Iterator[Group], ask: Ask, keep: Keep, *, width: Width, stop: asyncio.Event
) -> bool:
    """Asks for every group, as many at once as `width` says, reading one only when there is room for it.

    Once `stop` is set no further group begins, and those on the wire are waited for; False when groups
    were left. An error of `ask` ends the work: what was answered is kept, the calls on the wire are
    cancelled, the error is raised.
    """
    running: dict[asyncio.Task[Sequence[ResultRow]], int] = {}  # with their edits
    exhausted = False
    try:
        while True:
            while not exhausted and not stop.is_set() and width.has_room(len(running), sum(running.values())):
                group = next(groups, None)
                if group is None:
                    exhausted = True
                else:
                    running[asyncio.ensure_future(ask(group))] = len(group.rows)
            if not running:
                return exhausted or next(groups, None) is None
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del running[task]
            errors = [error for task in done if (error := task.exception()) is not None]
            for task in done:
                if task.exception() is None:
                    keep(task.result())
            if errors:
                raise errors[0]
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
