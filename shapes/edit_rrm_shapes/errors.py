"""The one exception tree of the miniature.

ShapesError
├── PictureError    a picture that cannot be one of the shapes world: its size or kind is another
├── EditsError      a folder of edits is missing, or a row of it is not what docs/shapes.md says
├── RunFolderError  a run folder holds another run, or none
└── StageError      a stage of a reproduction cannot run, or cannot go on
"""


class ShapesError(Exception):
    """Base of every error this package raises for its inputs and its surroundings."""


class PictureError(ShapesError):
    """The message says what was expected and what came."""


class EditsError(ShapesError):
    """The message names the file, and the row where there is one."""


class RunFolderError(ShapesError):
    """The message names the folder."""


class StageError(ShapesError):
    """The message names the stage and says what to do about it."""
