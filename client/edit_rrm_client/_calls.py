"""Calls of the API as values: what to send and how the answer must look. The only I/O is reading files."""

import base64
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import ValidationError

from edit_rrm.checkpoint import AggregatorName
from edit_rrm.principles import Principle
from edit_rrm.wire import (
    MAX_SOURCES,
    AnswerModel,
    CandidateScored,
    DecomposeAnswer,
    DecomposeRequest,
    Guards,
    ImageRef,
    Include,
    ModelsAnswer,
    Priority,
    RequestModel,
    Sampling,
    ScoreAnswer,
    ScoreRequest,
    Thinking,
)
from edit_rrm_client._images import EncodedImage, Encoding, ImageInput, SourceInput, encode_images
from edit_rrm_client.errors import InvalidRequestError, ProtocolError

Transport: TypeAlias = Literal["multipart", "base64"]
TemplateValues: TypeAlias = Mapping[str, bool | int | float | str]
AnswerT = TypeVar("AnswerT", bound=AnswerModel)

MAX_DEADLINE_S = 3600.0


@dataclass(frozen=True)
class Call(Generic[AnswerT]):
    """One call: where it goes, its JSON, the files beside it, and the check its answer must pass."""

    method: Literal["GET", "POST"]
    path: str
    answer: type[AnswerT]
    request: RequestModel | None = None
    parts: Mapping[str, EncodedImage] = field(default_factory=dict)
    check: Callable[[AnswerT], None] = lambda answer: None

    def body(self, remaining_s: float) -> bytes | None:
        """The JSON to send when `remaining_s` of the total deadline are left; the service learns it."""
        if self.request is None:
            return None
        request = self.request
        if isinstance(request, ScoreRequest):
            request = request.model_copy(update={"deadline_s": min(remaining_s, MAX_DEADLINE_S)})
        return request.model_dump_json(exclude_none=True, exclude=_unsaid(request)).encode()


def models_call() -> Call[ModelsAnswer]:
    """GET /v1/models."""
    return Call("GET", "/v1/models", ModelsAnswer)


def decompose_call(
    instruction: str,
    source: SourceInput,
    *,
    sampling: Sampling | None,
    model: str | None = None,
    transport: Transport,
    encoding: Encoding,
) -> Call[DecomposeAnswer]:
    """POST /v1/decompose. Raises InvalidRequestError."""
    outbox = _Outbox(transport, encoding)
    one, several = _source_fields(outbox.add(_sources_of(source)))
    try:
        request = DecomposeRequest(
            instruction=instruction, model=model, source=one, sources=several, sampling=sampling or Sampling()
        )
    except ValidationError as error:
        raise _refusal(error) from error
    return Call("POST", "/v1/decompose", DecomposeAnswer, request, outbox.parts)


def score_call(
    instruction: str,
    source: SourceInput,
    candidates: Sequence[ImageInput],
    *,
    principles: Sequence[Principle] | None,
    samples: int | None,
    sampling: Sampling | None,
    thinking: Thinking | None,
    template_arguments: TemplateValues | None = None,
    aggregator: AggregatorName | None,
    guards: Guards | None,
    include: Sequence[Include],
    priority: Priority,
    source_of_guards: int,
    model: str | None = None,
    transport: Transport,
    encoding: Encoding,
) -> Call[ScoreAnswer]:
    """POST /v1/score. Raises InvalidRequestError."""
    if isinstance(candidates, str | bytes | bytearray | os.PathLike) or not isinstance(candidates, Sequence):
        raise InvalidRequestError(f"candidates must be a list of images, got {type(candidates).__name__}")
    outbox = _Outbox(transport, encoding)
    sources = _sources_of(source)
    edited = [(f"candidate-{index}", image, f"candidates[{index}]") for index, image in enumerate(candidates)]
    refs = outbox.add([*sources, *edited])
    one, several = _source_fields(refs[: len(sources)])
    candidate_refs = refs[len(sources) :]
    try:
        request = ScoreRequest(
            instruction=instruction,
            model=model,
            source=one,
            sources=several,
            source_of_guards=source_of_guards,
            candidates=candidate_refs,
            principles=None if principles is None else list(principles),
            samples=samples,
            sampling=sampling or Sampling(),
            thinking=thinking,
            template_arguments=dict(template_arguments or {}),
            aggregator=aggregator,
            guards=dict(guards) if isinstance(guards, Mapping) else guards,
            include=list(include),
            priority=priority,
        )
    except ValidationError as error:
        raise _refusal(error) from error
    return Call(
        "POST",
        "/v1/score",
        ScoreAnswer,
        request,
        outbox.parts,
        lambda answer: _check_score(answer, len(candidate_refs)),
    )


class _Outbox:
    """Encodes images and turns them into references, inline or to a part that it collects."""

    def __init__(self, transport: Transport, encoding: Encoding) -> None:
        self._transport = transport
        self._encoding = encoding
        self.parts: dict[str, EncodedImage] = {}

    def add(self, images: Sequence["Outgoing"]) -> list[ImageRef]:
        """References to images."""
        encoded = encode_images([(image, name) for _, image, name in images], self._encoding)
        return [self._sent(part, file) for (part, _, _), file in zip(images, encoded, strict=True)]

    def _sent(self, part: str, encoded: EncodedImage) -> ImageRef:
        if self._transport == "base64":
            return ImageRef(b64=base64.b64encode(encoded.data).decode("ascii"))
        self.parts[part] = encoded
        return ImageRef(part=part)


def _unsaid(request: RequestModel) -> set[str]:
    """Fields that say nothing at their default, and that a service before them would refuse."""
    if not isinstance(request, ScoreRequest):
        return set()
    return {
        name for name in ("guards", "source_of_guards", "template_arguments") if not getattr(request, name)
    }


Outgoing: TypeAlias = tuple[str, ImageInput, str]
"""A part's name, its image, and what errors call it."""


def _sources_of(source: SourceInput) -> list[Outgoing]:
    """One image is named as it always was.

    Raises InvalidRequestError for none, or more than a request takes, before any is read.
    """
    if not isinstance(source, list | tuple):
        return [("source", cast("ImageInput", source), "source")]
    if not 1 <= len(source) <= MAX_SOURCES:
        raise InvalidRequestError(f"source: expected 1 to {MAX_SOURCES} images, got {len(source)}")
    if len(source) == 1:
        return [("source", source[0], "source[0]")]
    return [(f"source-{index}", image, f"source[{index}]") for index, image in enumerate(source)]


def _source_fields(refs: Sequence[ImageRef]) -> tuple[ImageRef | None, list[ImageRef] | None]:
    """What goes to `source` and what to `sources`."""
    return (refs[0], None) if len(refs) == 1 else (None, list(refs))


def _refusal(error: ValidationError) -> InvalidRequestError:
    problems = (
        f"{'.'.join(str(step) for step in problem['loc']) or 'request'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    )
    return InvalidRequestError("; ".join(problems))


def _check_score(answer: ScoreAnswer, candidate_count: int) -> None:
    """The promises that the types alone cannot hold. Raises ProtocolError."""
    if len(answer.results) != candidate_count:
        raise ProtocolError(f"expected {candidate_count} results, got {len(answer.results)}")
    for index, result in enumerate(answer.results):
        if not isinstance(result, CandidateScored):
            continue
        for name, value, top in (("reward", result.reward, 1.0), ("score", result.score, 10.0)):
            if not (math.isfinite(value) and 0.0 <= value <= top):
                raise ProtocolError(f"results[{index}].{name} must lie in [0, {top:g}], got {value}")
