"""The one exception tree of `edit_rrm`. Every error carries the API's `code` for it.

EditRRMError
├── ImageError          an image cannot be used (code: image_too_large, too_many_pixels,
│                       unsupported_image, broken_image, image_shape)
├── TraceError          a verifier's text could not be turned into verdicts (trace_unparseable)
│   ├── TraceTruncatedError  the text ended at its budget: it is no answer (trace_truncated)
│   └── NoProbabilityError   the engine showed no probability of a verdict that the reward needs
├── DecompositionError  a decomposition's text could not be turned into principles (decomposition_failed)
│   └── DecompositionTruncatedError  the same (decomposition_truncated)
├── CheckpointError     a checkpoint's rrm.json is missing a field or holds an unknown value
├── JudgeError          a judge file does not fit, or no judge has that name
├── SettingsFileError   a file of settings cannot be read, or a setting is wrong
├── OutputError         results cannot be written where they shall go
├── BoardError          curves and pictures cannot be shown where they shall be
├── PluginError         a name that no installed package registers
└── ProxyUnusableError  a proxy of the environment cannot be used
"""

from typing import Literal

ImageErrorCode = Literal[
    "image_too_large", "too_many_pixels", "unsupported_image", "broken_image", "image_shape"
]


class EditRRMError(Exception):
    """Base of every error this package raises."""

    code: str = "internal"


class ImageError(EditRRMError):
    """An image was refused; `code` names the problem as docs/api.md does."""

    def __init__(self, code: ImageErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class TraceError(EditRRMError):
    """A trace does not hold a verdict for every principle and a score. `text` is the trace as written."""

    code: str = "trace_unparseable"

    def __init__(self, detail: str, text: str = "") -> None:
        super().__init__(detail)
        self.text = text


class DecompositionError(EditRRMError):
    """A decomposition holds no usable principle set. `text` is what the model wrote."""

    code: str = "decomposition_failed"

    def __init__(self, detail: str, text: str = "") -> None:
        super().__init__(detail)
        self.text = text


class TraceTruncatedError(TraceError):
    """A trace was cut off, so it says nothing, whatever it looks like."""

    code = "trace_truncated"


class NoProbabilityError(TraceError):
    """A verdict has no probability: another text of the same model would have none either."""


class DecompositionTruncatedError(DecompositionError):
    """A decomposition was cut off, so principles are missing."""

    code = "decomposition_truncated"


class CheckpointError(EditRRMError):
    """A checkpoint directory cannot be served as it is."""

    code: str = "bad_checkpoint"


class JudgeError(EditRRMError):
    """A judge cannot be asked as it is described; the message names the place."""

    code: str = "bad_judge"


class SettingsFileError(EditRRMError):
    """The message names the file, and every setting that is wrong."""

    code: str = "bad_settings"


class OutputError(EditRRMError):
    """The message names the path and what is in the way."""

    code: str = "output_not_writable"


class BoardError(EditRRMError):
    """The message names the board and what would help."""

    code: str = "no_board"


class PluginError(EditRRMError):
    """The message names what is registered."""

    code: str = "no_such_plugin"


class ProxyUnusableError(EditRRMError):
    """The message names the proxy, and what would help."""

    code: str = "bad_proxy"
