"""A call's deadline as a limit on the work inside a block."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edit_rrm_server.errors import DeadlineExceededError


@asynccontextmanager
async def time_limit(deadline_at: float) -> AsyncIterator[None]:
    """Cancels the block at `deadline_at` (monotonic seconds, may be infinite).

    Raises DeadlineExceededError then; a TimeoutError of the block's own goes through.
    """
    try:
        async with asyncio.timeout(max(0.0, deadline_at - time.monotonic())) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceededError("the deadline passed before the call was complete") from None
        raise
