"""The one exception tree of the editor's training. Each message says what was expected and what came.

EditTrainingError
├── SettingsError      settings that do not fit, or not those that a run was begun with
├── EditRowError       a row of an edit set is not what data/edits.py says: names file and row
├── CheckpointError    a checkpoint cannot be read, or is not this policy's
├── DivergedError      a gradient is not finite
├── DecodeError        a picture is not finite
├── NotFitError        the reward service must not be trained against
├── ServiceAwayError   the reward service did not answer for longer than the run's patience
├── SamplingError      edits cannot be carried out where they shall be: the folder, or memory
├── ExportError        an editor cannot be written in a form that diffusers loads
├── StoppedError       the run was asked to end while it waited for the service
└── PolicyError        of policies/errors.py: an editor cannot be loaded, or takes no such pictures
"""

from pathlib import Path


class EditTrainingError(Exception):
    """Base of every error this package raises for its inputs and its surroundings."""


class SettingsError(EditTrainingError):
    """The message names the settings."""


class EditRowError(EditTrainingError):
    """`row` counts from 1; 0 stands for the file as a whole."""

    def __init__(self, path: Path, row: int, detail: str) -> None:
        super().__init__(f"{path}{f', row {row}' if row else ''}: {detail}")
        self.path, self.row, self.detail = path, row, detail

    def __reduce__(self) -> tuple[type["EditRowError"], tuple[Path, int, str]]:
        """How it travels to the other processes of a run."""
        return EditRowError, (self.path, self.row, self.detail)


class CheckpointError(EditTrainingError):
    """The message names the checkpoint."""


class DivergedError(EditTrainingError):
    """The message names the update; what was saved before is whole."""


class DecodeError(EditTrainingError):
    """The message names the edit."""


class NotFitError(EditTrainingError):
    """The message says what the check before a run found."""


class ServiceAwayError(EditTrainingError):
    """`waited_s` is how long nothing was scored."""

    def __init__(self, detail: str, waited_s: float = 0.0) -> None:
        super().__init__(detail)
        self.waited_s = waited_s


class SamplingError(EditTrainingError):
    """The message names the folder, or the batch."""


class ExportError(EditTrainingError):
    """The message names the editor and what stands against it."""


class StoppedError(EditTrainingError):
    """Nothing of the update under way was applied."""
