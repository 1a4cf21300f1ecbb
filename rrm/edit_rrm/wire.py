"""The HTTP contract as models (docs/api.md): what the server accepts and answers, the client sends and reads.

Requests forbid unknown fields. Answers ignore them, so that a newer server does not break an older client.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.principles import Category, Principle

MAX_INSTRUCTION_CHARS = 4000
MAX_CANDIDATES = 64
MAX_PRINCIPLES = 32
MAX_SAMPLES = 32

Instruction = Annotated[str, Field(min_length=1, max_length=MAX_INSTRUCTION_CHARS, pattern=r"\S")]
GuardMode = Literal["enforce", "report", "off"]
Priority = Literal["interactive", "training", "bulk"]
PrinciplesFrom = Literal["request", "cache", "model"]


class RequestModel(BaseModel):
    """Base of what callers send."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnswerModel(BaseModel):
    """Base of what the service answers."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ImageRef(RequestModel):
    """An image: base64 bytes, or the name of a part of the same multipart request. Exactly one of the two."""

    b64: str | None = Field(default=None, min_length=1)
    part: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _exactly_one(self) -> "ImageRef":
        if (self.b64 is None) == (self.part is None):
            raise ValueError("an image needs exactly one of 'b64' and 'part'")
        return self


class Sampling(RequestModel):
    """How traces are drawn; an absent field takes the checkpoint's default."""

    temperature: float | None = Field(default=None, ge=0.0, le=2.0, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0, allow_inf_nan=False)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    max_tokens: int | None = Field(default=None, ge=1, le=16384)


class DecomposeRequest(RequestModel):
    """POST /v1/decompose."""

    instruction: Instruction
    source: ImageRef
    sampling: Sampling = Sampling()


class ScoreRequest(RequestModel):
    """POST /v1/score: one or more candidates of one edit; a GRPO group is one call."""

    instruction: Instruction
    source: ImageRef
    candidates: list[ImageRef] = Field(min_length=1, max_length=MAX_CANDIDATES)
    principles: list[Principle] | None = Field(default=None, min_length=1, max_length=MAX_PRINCIPLES)
    samples: int = Field(default=1, ge=1, le=MAX_SAMPLES)
    sampling: Sampling = Sampling()
    aggregator: AggregatorName | None = None
    guards: GuardMode = "enforce"
    include: list[Literal["reasoning", "tokens"]] = Field(default_factory=list)
    deadline_s: float | None = Field(default=None, gt=0.0, le=3600.0, allow_inf_nan=False)
    priority: Priority = "training"

    @model_validator(mode="after")
    def _unique_principles(self) -> "ScoreRequest":
        ids = [p.id for p in self.principles or ()]
        if len(set(ids)) != len(ids):
            raise ValueError("principle ids must be unique")
        return self


Key = str | int | None


class StreamRequest(ScoreRequest):
    """A line of POST /v1/score/stream: a score request with the caller's `key`; bulk unless it says more."""

    key: Key = None
    priority: Priority = "bulk"


class VerdictAnswer(AnswerModel):
    """A verdict over all samples. `probability` of "met" is None when the model's tokens did not show it."""

    principle: str
    met: bool
    probability: float | None
    evidence: str


class GuardAnswer(AnswerModel):
    """One deterministic image check; `value` is what it measured."""

    name: str
    triggered: bool
    value: float


class SampleAnswer(AnswerModel):
    """One trace's score in [0, 10] and reward in [0, 1]; its text when `include` asked for it."""

    score: float
    reward: float
    reasoning: str | None = None
    tokens: list[dict[str, Any]] | None = None


class CandidateError(AnswerModel):
    """Why a candidate has no reward."""

    code: str
    detail: str


class CandidateScored(AnswerModel):
    """A candidate's reward in [0, 1], score in [0, 10] and what they rest on.

    A guard that decides the reward without running the model leaves `average`, `categories`,
    `verdicts` and `samples` empty.
    """

    status: Literal["ok"] = "ok"
    reward: float
    score: float
    average: float | None
    categories: dict[Category, float] = Field(default_factory=dict)
    verdicts: list[VerdictAnswer] = Field(default_factory=list)
    guards: list[GuardAnswer] = Field(default_factory=list)
    samples: list[SampleAnswer] = Field(default_factory=list)
    disagreement: float = 0.0
    cached: bool = False
    """Whether an earlier, equal and deterministic request had computed it."""


class CandidateFailed(AnswerModel):
    """A candidate that could not be scored. Its reward is null: a failure is never a number."""

    status: Literal["error"] = "error"
    error: CandidateError
    reward: None = None


CandidateAnswer = Annotated[CandidateScored | CandidateFailed, Field(discriminator="status")]


class Usage(AnswerModel):
    """Tokens the call cost, summed over decomposition, candidates and samples."""

    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0


class Timing(AnswerModel):
    """Where the call's time went, in seconds. `queue_s` is the longest wait of any of its jobs."""

    queue_s: float = 0.0
    decompose_s: float = 0.0
    verify_s: float = 0.0
    total_s: float = 0.0


class ScoreAnswer(AnswerModel):
    """200 of POST /v1/score; `results` has the order and length of the request's candidates."""

    id: str
    model: str
    principles: list[Principle]
    principles_from: PrinciplesFrom
    results: list[CandidateAnswer]
    usage: Usage = Usage()
    timing: Timing = Timing()


class DecomposeAnswer(AnswerModel):
    """200 of POST /v1/decompose."""

    id: str
    model: str
    principles: list[Principle]
    principles_from: PrinciplesFrom


class ModelAnswer(AnswerModel):
    """The loaded checkpoint (GET /v1/models).

    `weights_digest_of` is "name" where the service has no copy of a fleet's weights: then the digest is
    that of the card and the fleet's id of the model.
    """

    name: str
    weights_digest: str
    weights_digest_of: Literal["weights", "name"] = "weights"
    architecture: str
    profile: str
    trace_format: str
    categories: list[Category]
    sampling: dict[str, Any]
    aggregator: AggregatorName
    limits: dict[str, Any]
    judges: str = ""
    training: dict[str, Any] = Field(default_factory=dict)


class ModelsAnswer(AnswerModel):
    """200 of GET /v1/models."""

    models: list[ModelAnswer]


class Problem(AnswerModel):
    """application/problem+json (RFC 9457), every error of the API."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str


class StreamAnswer(ScoreAnswer):
    """A line of the stream's answer: the score of the request with that `key` in that `line`, from 1."""

    key: Key = None
    line: int


class StreamFailure(AnswerModel):
    """A line of the stream's answer: why the request in that `line` has no score."""

    key: Key = None
    line: int
    error: Problem
