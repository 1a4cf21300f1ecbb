"""A job's groups asked for from this process: one event loop, a bounded window, a polite end on SIGINT."""

import asyncio
import functools
import itertools
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from edit_rrm_client.bulk.asking import ScoreSettings, ask
from edit_rrm_client.bulk.job import Work
from edit_rrm_client.bulk.rows import ResultRow
from edit_rrm_client.bulk.services import Services, checked_model, served_model
from edit_rrm_client.bulk.window import score_groups
from edit_rrm_client.errors import EditRRMClientError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_here(
    work: Work,
    *,
    services: Services,
    settings: ScoreSettings,
    on_kept: Callable[[Sequence[ResultRow]], None],
    on_stop: Callable[[], None],
    on_wait: Callable[[EditRRMClientError], None] = lambda _: None,
) -> bool:
    """Asks for every group; False when a signal ended it before the last one.

    The first SIGINT or SIGTERM begins no further call and waits for those on the wire; the second
    cancels them. `on_kept` sees results once they are recorded, `on_stop` the first signal, `on_wait`
    why no service answers at the beginning.
    """
    return asyncio.run(_run(work, services, settings, on_kept, on_stop, on_wait))


async def _run(
    work: Work,
    services: Services,
    settings: ScoreSettings,
    on_kept: Callable[[Sequence[ResultRow]], None],
    on_stop: Callable[[], None],
    on_wait: Callable[[EditRRMClientError], None],
) -> bool:
    first = next(work.groups, None)
    if first is None:  # all is recorded: no service is needed to write it out
        return True
    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def interrupted() -> None:
        if stop.is_set():
            task.cancel()
        else:
            stop.set()
            on_stop()

    def keep(rows: Sequence[ResultRow]) -> None:
        work.keep(rows)
        on_kept(rows)

    loop = asyncio.get_running_loop()
    for name in SIGNALS:
        loop.add_signal_handler(name, interrupted)
    try:
        served = await _unless(stop, served_model(services, settings.model, on_wait))
        if served is None:
            return False
        rrm = checked_model(work.rrm, served)
        async with services.client() as client:
            asking = functools.partial(ask, client, settings=settings, rrm=rrm)
            return await score_groups(
                itertools.chain([first], work.groups),
                asking,
                keep,
                width=services.width,
                stop=stop,
            )
    except asyncio.CancelledError:
        return False
    finally:
        for name in SIGNALS:
            loop.remove_signal_handler(name)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, str]) -> str | None:
    """What `work` gives, or None if `stop` is set before."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
