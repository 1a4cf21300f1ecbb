"""A job's groups asked for from this process: one event loop, a bounded window, a polite end on SIGINT."""

import asyncio
import functools
import itertools
import signal
from collections.abc import Callable, Sequence

from edit_rrm_client.bulk.asking import ScoreSettings, ask
from edit_rrm_client.bulk.job import Work
from edit_rrm_client.bulk.rows import ResultRow
from edit_rrm_client.bulk.services import Services, checked_model, served_model
from edit_rrm_client.bulk.window import score_groups

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_here(
    work: Work,
    *,
    services: Services,
    settings: ScoreSettings,
    on_kept: Callable[[Sequence[ResultRow]], None],
    on_stop: Callable[[], None],
) -> bool:
    """Asks for every group; False when a signal ended it before the last one.

    The first SIGINT or SIGTERM begins no further call and waits for those on the wire; the second
    cancels them. `on_kept` sees results once they are recorded, `on_stop` the first signal.
    """
    return asyncio.run(_run(work, services, settings, on_kept, on_stop))


async def _run(
    work: Work,
    services: Services,
    settings: ScoreSettings,
    on_kept: Callable[[Sequence[ResultRow]], None],
    on_stop: Callable[[], None],
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
        rrm = checked_model(work.rrm, await served_model(services, settings.model))
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
