"""The one exception tree of RRM training.

TrainingError
├── RowError        a row of a data file is not what its layout says: names file, row and field
├── EndpointError   a chat endpoint gave no usable answer, after all its attempts; `kind` says why
├── AnswerError     an endpoint answered, but no draw could be used; carries the text and what it cost
├── EditorError     an editor produced no image for an instruction
├── StepError       a step of the pipeline cannot run, or cannot go on
└── SettingsError   settings of a run that do not fit, or not the ones it was begun with
"""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

EndpointErrorKind = Literal["timeout", "unreachable", "refused", "overloaded", "malformed"]


class TrainingError(Exception):
    """Base of every error this package raises for its inputs and its surroundings."""


class RowError(TrainingError):
    """`row` counts from 1, 0 stands for the file; `field` is empty when the row as a whole cannot be read."""

    def __init__(self, path: Path, row: int, field: str, detail: str) -> None:
        where = f"{path}" + (f", row {row}" if row else "") + (f", field {field!r}" if field else "")
        super().__init__(f"{where}: {detail}")
        self.path, self.row, self.field, self.detail = path, row, field, detail

    @classmethod
    def from_validation(cls, path: Path, row: int, error: ValidationError) -> "RowError":
        """The first thing that pydantic found wrong."""
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        return cls(path, row, field, first["msg"])


class EndpointError(TrainingError):
    """`attempts` is how many requests were made before giving up."""

    def __init__(self, kind: EndpointErrorKind, detail: str, attempts: int = 1) -> None:
        super().__init__(f"{kind} after {attempts} attempts: {detail}")
        self.kind, self.attempts = kind, attempts


class AnswerError(TrainingError):
    """`text` is what the endpoint wrote last."""

    def __init__(self, detail: str, text: str) -> None:
        super().__init__(detail)
        self.text = text


class EditorError(TrainingError):
    """An editor could not edit; the message names the editor and the edit."""


class StepError(TrainingError):
    """The message says what to do about it."""


class SettingsError(TrainingError):
    """A run cannot start as it was asked to; the message names the settings."""
