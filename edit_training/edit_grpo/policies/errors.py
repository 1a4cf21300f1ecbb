"""What can go wrong with a policy, as types.

PolicyError
├── UnknownPolicyError    neither a bundled name nor a pipeline folder that a policy exists for
├── PolicyFolderError     a folder, or a part of it, is missing or cannot be loaded
├── PolicySettingsError   a setting that this policy has no use for, or that is missing
├── PictureSizeError      sources that a policy cannot take together, or at all
├── SourceCountError      more sources than a policy takes, none, or not as many for each edit of a batch
└── NoReferenceError      the reference policy is asked for, and none was kept
"""

from edit_grpo.errors import EditTrainingError


class PolicyError(EditTrainingError):
    """Base of every error of this package; the message says what to do about it."""


class UnknownPolicyError(PolicyError):
    """The message lists the policies there are."""


class PolicyFolderError(PolicyError):
    """The message names the folder and what it lacks."""


class PolicySettingsError(PolicyError):
    """The message names the setting and the policy."""


class PictureSizeError(PolicyError):
    """The message names the sizes that came."""


class SourceCountError(PolicyError):
    """The message says how many the policy takes, and how many came."""


class NoReferenceError(PolicyError):
    """A policy that is trained whole kept no copy of its first weights."""
