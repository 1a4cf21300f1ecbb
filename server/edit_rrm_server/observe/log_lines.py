"""Log lines where the disk may be full: that nothing can be written is told once, not with every line."""

import logging
from typing import TextIO


class LogLines(logging.StreamHandler[TextIO]):
    """Writes lines to a stream. One that fails is told by `logging` itself, with its frames, on standard
    error; those that fail after it are not, until one could be written.
    """

    _fails = _was_told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line."""
        self._fails = False
        super().emit(record)
        self._was_told = self._fails

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # its name in logging
        """A line could not be written."""
        self._fails = True
        if not self._was_told:
            super().handleError(record)
