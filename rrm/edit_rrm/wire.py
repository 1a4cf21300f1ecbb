"""The HTTP contract as models (docs/api.md): what the server accepts and answers, the client sends and reads.

Requests forbid unknown fields. Answers ignore them, so that a newer server does not break an older client.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic.config import JsonDict

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.exact_types import EXACT
from edit_rrm.guards.modes import GuardMode, GuardModes, GuardName
from edit_rrm.principles import Category, Principle
from edit_rrm.untrusted_text import visible

MAX_INSTRUCTION_CHARS = 4000
MAX_CANDIDATES = 64
MAX_PRINCIPLES = 32
MAX_SAMPLES = 32
MAX_SOURCES = 4
MAX_EXTRAS = 16

_RENDERING = frozenset({
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents",
    "messages", "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors", "tokenize",
    "tokenizer_kwargs", "tools", "truncation",
})  # fmt: skip
"""Arguments of rendering itself."""


def _own_argument(name: str) -> str:
    if name in _RENDERING:
        raise ValueError("is not the template's, but of rendering itself")
    return name


Instruction = Annotated[
    str,
    Field(min_length=1, max_length=MAX_INSTRUCTION_CHARS, pattern=r"\S"),
    AfterValidator(visible),
]
# Nothing that a template could write as a token of its own, and no name that rendering itself takes.
TemplateWord = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
TemplateArgument = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,63}$",
        json_schema_extra={"not": {"enum": sorted(_RENDERING)}},
    ),
    AfterValidator(_own_argument),
]
TokenBudget = Annotated[int, Field(ge=1, le=16384), EXACT]
Guards = GuardMode | GuardModes
"""A word for all, or words for some; the others do what the service says."""
Include = Literal["reasoning", "tokens", "change_map"]
"""`change_map`: a picture of where each candidate changed."""
Priority = Literal["interactive", "training", "bulk"]
PrinciplesFrom = Literal["request", "cache", "model"]


class RequestModel(BaseModel):
    """Base of what callers send."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnswerModel(BaseModel):
    """Base of what the service answers."""

    # Every field is written, so the schema of an answer promises it.
    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_serialization_defaults_required=True)


def _exactly_one_of(types: dict[str, str]) -> JsonDict:
    """What JSON Schema says of fields of which one is given; null is as good as absent."""
    return {
        "oneOf": [
            {
                "required": [given],
                "properties": {name: {"type": types[name] if name == given else "null"} for name in types},
            }
            for given in types
        ]
    }


_BASE64: JsonDict = {"format": "byte", "contentEncoding": "base64"}


class ImageRef(RequestModel):
    """An image: base64 bytes, or the name of a part of the same multipart request. Exactly one of the two."""

    model_config = ConfigDict(json_schema_extra=_exactly_one_of({"b64": "string", "part": "string"}))

    b64: str | None = Field(default=None, min_length=1, json_schema_extra=_BASE64)
    part: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _exactly_one(self) -> "ImageRef":
        if (self.b64 is None) == (self.part is None):
            raise ValueError("an image needs exactly one of 'b64' and 'part'")
        return self


class Sampling(RequestModel):
    """How traces are drawn; an absent field takes the checkpoint's default."""

    temperature: Annotated[float, Field(ge=0.0, le=2.0, allow_inf_nan=False), EXACT] | None = None
    top_p: Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False), EXACT] | None = None
    top_k: Annotated[int, Field(ge=1), EXACT] | None = Field(
        default=None, description="tokens to choose among; absent: all"
    )
    seed: Annotated[int, Field(ge=0, lt=2**31), EXACT] | None = None
    max_tokens: TokenBudget | None = None


class Thinking(RequestModel):
    """Whether a model that can is to think before it answers, and how long; absent: as the judge says."""

    enabled: StrictBool
    budget_tokens: TokenBudget | None = Field(
        default=None, description="tokens for the thought, besides those of the answer"
    )


class EditRequest(RequestModel):
    """Base of what names an edit: an instruction, and one source image or several."""

    model_config = ConfigDict(json_schema_extra=_exactly_one_of({"source": "object", "sources": "array"}))

    instruction: Instruction
    model: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="one of GET /v1/models, by `name` or `name@weights_digest`; absent: the first",
    )
    source: ImageRef | None = None
    sources: list[ImageRef] | None = Field(
        default=None, min_length=1, max_length=MAX_SOURCES, description="instead of `source`, in order"
    )

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if (self.source is None) == (self.sources is None):
            raise ValueError("an edit needs exactly one of 'source' and 'sources'")
        return self

    @property
    def all_sources(self) -> dict[str, ImageRef]:
        """The sources by the path of their field, in order."""
        if self.source is not None:
            return {"source": self.source}
        return {f"sources.{index}": image for index, image in enumerate(self.sources or ())}


class DecomposeRequest(EditRequest):
    """POST /v1/decompose."""

    sampling: Sampling = Sampling()


class ScoreRequest(EditRequest):
    """POST /v1/score: one or more candidates of one edit; a GRPO group is one call."""

    source_of_guards: Annotated[int, Field(ge=0, lt=MAX_SOURCES), EXACT] = Field(
        default=0, description="index of the source that guards compare with"
    )
    candidates: list[ImageRef] = Field(min_length=1, max_length=MAX_CANDIDATES)
    principles: list[Principle] | None = Field(default=None, min_length=1, max_length=MAX_PRINCIPLES)
    samples: Annotated[int, Field(ge=1, le=MAX_SAMPLES), EXACT] | None = Field(
        default=None, description="traces a candidate; absent: the judge's, mostly 1"
    )
    sampling: Sampling = Sampling()
    thinking: Thinking | None = None
    template_arguments: dict[TemplateArgument, bool | int | FiniteFloat | TemplateWord] = Field(
        default_factory=dict,
        max_length=MAX_EXTRAS,
        json_schema_extra={"additionalProperties": False},
        description="of the chat template, such as reasoning_effort; before the judge's and the service's",
    )
    aggregator: AggregatorName | None = None
    guards: GuardMode | dict[GuardName, GuardMode] | None = Field(
        default=None, description="a word for all guards, or by name; absent: the service's, mostly enforce"
    )
    include: list[Include] = Field(default_factory=list, max_length=MAX_EXTRAS)
    deadline_s: Annotated[float, Field(gt=0.0, le=3600.0, allow_inf_nan=False), EXACT] | None = None
    priority: Priority = "training"

    @model_validator(mode="after")
    def _unique_principles(self) -> "ScoreRequest":
        ids = [p.id for p in self.principles or ()]
        if len(set(ids)) != len(ids):
            raise ValueError("principle ids must be unique")
        return self

    @model_validator(mode="after")
    def _guards_have_a_source(self) -> "ScoreRequest":
        if self.source_of_guards >= len(self.all_sources):
            count = len(self.all_sources)
            raise ValueError(f"source_of_guards is {self.source_of_guards}, of {count} sources")
        return self


Key = StrictStr | StrictInt | None


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


class AlignmentAnswer(AnswerModel):
    """How a candidate was moved: shares of the source's width and height, a factor, degrees clockwise."""

    shift_x: float
    shift_y: float
    zoom: float
    degrees: float


class GuardAnswer(AnswerModel):
    """One deterministic image check; `value` is what it measured.

    One that `decides` limits the reward. One that fired and does not says why in `note`: it was asked for, or
    is to report only.
    """

    name: str
    triggered: bool
    value: float
    decides: bool | None = None
    """None from a service of before this field: one that fired decides where guards are enforced."""
    note: str = ""
    alignment: AlignmentAnswer | None = None
    """Of `no_edit`, the small movement that was undone before measuring."""

    @property
    def limits(self) -> bool:
        """Whether it limited the reward; of a service that does not say, whether it fired."""
        return self.triggered if self.decides is None else self.decides


class SampleAnswer(AnswerModel):
    """One trace's score in [0, 10] and reward in [0, 1]; its text when `include` asked for it.

    Of a judge that asks several questions, the texts stand under one another.
    """

    score: float
    reward: float
    subscores: dict[str, float] = Field(default_factory=dict)
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
    subscores: dict[str, float] = Field(default_factory=dict)
    """Of judges that give numbers: each from 0 to 1, the mean over samples."""
    change_map: str | None = None
    """Where `include` asked for it: a JPEG in base64, the candidate in grey and what changed in colour."""
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


def names_of_model(name: str, weights_digest: str, reported: str) -> frozenset[str]:
    """What a request's `model` may call a model; `reported` is what its answers say."""
    return frozenset({name, f"{name}@{weights_digest}", reported})


class ModelAnswer(AnswerModel):
    """A model that is served (GET /v1/models): a checkpoint, or an adapter at its base.

    `id` is what is reported with its scores; a service of before this field reports `name@weights_digest`.
    `weights_digest_of` is "name" where the service has no copy of a fleet's weights: then the digest is
    that of the card and the fleet's id of the model.
    """

    id: str = ""
    name: str
    weights_digest: str
    weights_digest_of: Literal["weights", "name"] = "weights"
    architecture: str
    profile: str
    trace_format: str
    judge: str = ""
    """Who judges: a profile of ours, or a judge file as name.version."""
    subscores: list[str] = Field(default_factory=list)
    needs_principles: bool = True
    max_sources: int = 1
    categories: list[Category]
    sampling: dict[str, Any]
    aggregator: AggregatorName
    guards: dict[GuardName, GuardMode] = Field(default_factory=dict)
    """What each guard does where a request does not say."""
    limits: dict[str, Any]
    judges: str = ""
    training: dict[str, Any] = Field(default_factory=dict)

    @property
    def reported(self) -> str:
        """What its scores are said to be of."""
        return self.id or f"{self.name}@{self.weights_digest}"


class ModelsAnswer(AnswerModel):
    """200 of GET /v1/models. The first serves a request that names none."""

    models: list[ModelAnswer]

    def named(self, wanted: str | None) -> ModelAnswer | None:
        """The model that a request with this `model` gets; None for one that is not served."""
        for model in self.models:
            names = names_of_model(model.name, model.weights_digest, model.reported)
            if wanted is None or wanted in names:
                return model
        return None


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
