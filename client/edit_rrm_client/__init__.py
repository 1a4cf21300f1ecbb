"""The client of an edit-rrm service, for RL trainers and evaluation teams. Light: nothing beyond httpx."""

from edit_rrm.principles import Category, Principle
from edit_rrm.wire import (
    CandidateFailed,
    CandidateScored,
    DecomposeAnswer,
    ModelAnswer,
    ModelsAnswer,
    Sampling,
    ScoreAnswer,
    Thinking,
)
from edit_rrm_client._answers import rewards, scored
from edit_rrm_client._async_client import AsyncRewardClient
from edit_rrm_client._client import RewardClient
from edit_rrm_client._flows import Probe
from edit_rrm_client._groups import OnError
from edit_rrm_client._images import Encoding, ImageInput, SourceInput
from edit_rrm_client._many import ItemFailed, ItemResult, ItemScored, Progress, ScoreItem, ScoreOptions
from edit_rrm_client._mock import MockCall, MockRewardServer
from edit_rrm_client._retries import RetryPolicy
from edit_rrm_client._version import __version__
from edit_rrm_client.errors import (
    AuthenticationError,
    DeadlineExceededError,
    EditRRMClientError,
    InvalidImageError,
    InvalidRequestError,
    OverloadedError,
    ProtocolError,
    ScoringFailedError,
    UnavailableError,
)

__all__ = [
    "AsyncRewardClient",
    "AuthenticationError",
    "CandidateFailed",
    "CandidateScored",
    "Category",
    "DeadlineExceededError",
    "DecomposeAnswer",
    "EditRRMClientError",
    "Encoding",
    "ImageInput",
    "InvalidImageError",
    "InvalidRequestError",
    "ItemFailed",
    "ItemResult",
    "ItemScored",
    "MockCall",
    "MockRewardServer",
    "ModelAnswer",
    "ModelsAnswer",
    "OnError",
    "OverloadedError",
    "Principle",
    "Probe",
    "Progress",
    "ProtocolError",
    "RetryPolicy",
    "RewardClient",
    "Sampling",
    "ScoreAnswer",
    "ScoreItem",
    "ScoreOptions",
    "ScoringFailedError",
    "SourceInput",
    "Thinking",
    "UnavailableError",
    "__version__",
    "rewards",
    "scored",
]
