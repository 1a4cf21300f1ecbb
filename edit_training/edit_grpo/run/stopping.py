"""SIGTERM and SIGINT as a request: the update under way is finished and saved. A second one ends at once."""

import signal
from types import FrameType


class StopRequest:
    """A context manager that turns the first signal into a flag."""

    def __init__(self) -> None:
        self.name: str | None = None
        """The signal that came."""
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def __call__(self) -> bool:
        """Whether the run was asked to end."""
        return self.name is not None

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        self._restore()  # so that the next one does what it always does

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
