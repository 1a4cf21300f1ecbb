"""A change that others wait for, without a lock: everything here runs on the event loop's thread."""

import asyncio


class Signal:
    """`told` returns at the next `tell`; a `tell` that nobody waits for is forgotten."""

    def __init__(self) -> None:
        self._next: asyncio.Event | None = None

    def tell(self) -> None:
        """Something has changed."""
        if self._next is not None:
            self._next.set()
            self._next = None

    async def told(self) -> None:
        """Waits for the next change."""
        if self._next is None:
            self._next = asyncio.Event()
        await self._next.wait()
