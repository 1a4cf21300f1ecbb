"""What can go wrong in pre-training.

PretrainError
├── EditsError      a data folder is missing, or a row of it is not what docs/shapes.md says
└── RunFolderError  a run folder holds another run, or none
"""

from edit_grpo.errors import EditTrainingError


class PretrainError(EditTrainingError):
    """Base of every error of this package; the message says what to do about it."""


class EditsError(PretrainError):
    """The message names the file, and the row where there is one."""


class RunFolderError(PretrainError):
    """The message names the folder."""
