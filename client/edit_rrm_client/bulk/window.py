"""A bounded window of groups on the wire at once: results are kept as they come, and a stop drains it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from edit_rrm_client.bulk.groups import Group
from edit_rrm_client.bulk.rows import ResultRow

Ask = Callable[[Group], Awaitable[Sequence[ResultRow]]]
Keep = Callable[[Sequence[ResultRow]], None]


async def score_groups(
    groups: Iterator[Group], ask: Ask, keep: Keep, *, concurrency: int, stop: asyncio.Event
) -> bool:
    """Asks for every group, `concurrency` at once, reading one only when there is room for it.

    Once `stop` is set no further group begins, and those on the wire are waited for; False when groups
    were left. An error of `ask` ends the work: what was answered is kept, the calls on the wire are
    cancelled, the error is raised.
    """
    running: set[asyncio.Task[Sequence[ResultRow]]] = set()
    exhausted = False
    try:
        while True:
            while not exhausted and not stop.is_set() and len(running) < concurrency:
                group = next(groups, None)
                if group is None:
                    exhausted = True
                else:
                    running.add(asyncio.ensure_future(ask(group)))
            if not running:
                return exhausted or next(groups, None) is None
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
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
