"""What bulk work raises beside the client's own errors, in the client's tree.

EditRRMClientError
├── InvalidRequestError
│   ├── MissingExtraError   a library of an optional extra is not installed
│   ├── InputError          an input or results file cannot be used as a whole; the message names file and row
│   └── ResumeRefusedError  the journal beside the output belongs to another job, or to a running one
├── ModelChangedError       services, or one service over time, do not serve the checkpoint of the job
└── AccountingError         rows in and rows out do not add up: the input changed meanwhile, or a defect

A bad row is none of these: it is a failure of its own and stops nothing.
"""

from edit_rrm_client.errors import EditRRMClientError, InvalidRequestError


class MissingExtraError(InvalidRequestError):
    """A library is missing; the message names the extra that brings it."""

    default_code = "missing_extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra that is not installed: pip install 'edit-rrm[{extra}]'")


class InputError(InvalidRequestError):
    """A file is not there, is of no known kind, or lacks a column that every row needs."""

    default_code = "bad_input"


class ResumeRefusedError(InvalidRequestError):
    """Going on would mix two jobs; the message says what differs and how to start anew."""

    default_code = "resume_refused"


class ModelChangedError(EditRRMClientError):
    """Scores of two checkpoints must not stand in one file."""

    default_code = "model_changed"


class AccountingError(EditRRMClientError):
    """Every row of the input must be accounted for, and was not."""

    default_code = "rows_do_not_add_up"
