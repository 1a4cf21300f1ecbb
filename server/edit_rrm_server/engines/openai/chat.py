"""Chat completions of the OpenAI API: a prompt becomes a request body, an answer a `Completion`. Pure.

Text and images keep their order, so a server that renders the checkpoint's own chat template reads the
very prompt that the engine in this process would.
"""

import codecs
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args

import msgspec

from edit_rrm.errors import TraceError
from edit_rrm.judges.texts.thinking import answer_start
from edit_rrm.prompts import ImageSlot, Prompt
from edit_rrm.tokens import LazyTokens
from edit_rrm_server.engines.engine import Completion, FinishReason, SamplingSettings, Token
from edit_rrm_server.engines.openai.upstream_errors import unusable

Dialect = Literal["vllm", "openai"]
# vLLM writes this for a log-probability it does not have.
_NO_LOGPROB = -9999.0
# Else `vllm serve` takes these from the checkpoint's generation_config.json; the engine in process does not.
_VLLM_DEFAULTS = {"min_p": 0.0, "repetition_penalty": 1.0}


@dataclass(frozen=True)
class ChatForm:
    """How a fleet is asked. `top_logprobs` other tokens are shown at every place, 0 to 20."""

    model: str
    dialect: Dialect
    top_logprobs: int

    def body(
        self, prompt: Prompt, urls: Mapping[ImageSlot, bytes], sampling: SamplingSettings
    ) -> Sequence[bytes]:
        """The JSON of POST /chat/completions, in pieces; `urls` are the images as data URLs.

        Those are megabytes that need no escaping: they are put where the JSON without them leaves a mark.
        """
        marks = {slot: secrets.token_hex(16) for slot in urls}
        text = json.dumps(self._request(prompt, marks, sampling), separators=(",", ":"))
        slots = {mark: slot for slot, mark in marks.items()}
        pieces = re.split(f"({'|'.join(slots)})", text) if slots else [text]
        return [urls[slots[piece]] if piece in slots else piece.encode() for piece in pieces]

    def _request(
        self, prompt: Prompt, urls: Mapping[ImageSlot, str], sampling: SamplingSettings
    ) -> dict[str, Any]:
        vllm = self.dialect == "vllm"
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": message.role, "content": [_part(part, urls) for part in message.parts]}
                for message in prompt.messages
            ],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "max_tokens" if vllm else "max_completion_tokens": sampling.max_tokens,
            **({"top_k": sampling.top_k, **_VLLM_DEFAULTS} if vllm else {}),
        }
        if prompt.begun and vllm:
            request |= {"add_generation_prompt": False, "continue_final_message": True}
        if prompt.template_arguments and vllm:
            request["chat_template_kwargs"] = dict(prompt.template_arguments)
        if prompt.chat_template is not None and vllm:
            request["chat_template"] = prompt.chat_template
        if sampling.json_schema is not None:
            schema = {"name": "answer", "strict": True, "schema": json.loads(sampling.json_schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        if self.top_logprobs:
            request |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return request


class _Shown(msgspec.Struct, gc=False):  # thousands of them: the collector need not look at each
    token: str
    logprob: float = _NO_LOGPROB
    bytes: list[int] | None = None


class _Place(_Shown, gc=False):
    top_logprobs: list[_Shown] = []


class _Logprobs(msgspec.Struct):
    content: list[_Place] | None = None


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None


class _Answer(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: _Usage | None = None


# A thousand places with twenty tokens each: msgspec reads them in a tenth of pydantic's time.
_READER = msgspec.json.Decoder(_Answer)


def read_completion(body: bytes) -> Completion:
    """The completion of an answer. Without log-probabilities it has no tokens.

    Raises UpstreamError for another form, and for a text that ended neither by itself nor at its length.
    """
    try:
        answer = _READER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unusable(f"not as the OpenAI API has it: {error}") from None
    choice, usage = answer.choices[0], answer.usage or _Usage()
    if choice.finish_reason not in get_args(FinishReason):
        raise unusable("the text ended neither by itself nor at its length")
    text = choice.message.content or ""
    places = choice.logprobs.content if choice.logprobs and choice.logprobs.content else ()
    details = usage.prompt_tokens_details or _PromptDetails()
    return Completion(
        text=text,
        tokens=_tokens(text, places),
        prompt_tokens=usage.prompt_tokens,
        cached_prompt_tokens=details.cached_tokens or 0,
        completion_tokens=usage.completion_tokens,
        finish_reason=cast(FinishReason, choice.finish_reason),
    )


def _part(part: str | ImageSlot, urls: Mapping[ImageSlot, str]) -> dict[str, Any]:
    if isinstance(part, ImageSlot):
        return {"type": "image_url", "image_url": {"url": urls[part]}}
    return {"type": "text", "text": part}


def _tokens(text: str, places: Sequence[_Place]) -> Sequence[Token]:
    """The tokens that wrote `text`, each made when it is looked at; none if theirs is
    another text: an offset must not point elsewhere.

    A fleet's reasoning parser takes a thought out of the text and leaves its tokens: those before the answer
    are left out. Tokens that the text leaves out, like the one that ends it, have no text.
    """
    if not places:
        return ()
    for spelled in (_spelled, _decoded):  # the texts cost less, and do where no character has several tokens
        pieces = tuple(spelled(places))
        written = "".join(pieces)
        start = _start_of(text, written)
        if start is not None:
            break
    else:
        return ()
    shown: list[tuple[str, int, _Place | None]] = []
    offset = -start
    for place, piece in zip(places, pieces, strict=True):
        if offset < 0:  # of the thought; a token that ends it and begins the answer is not the answer's alone
            offset += len(piece)
            if offset > 0:
                shown.append((piece[len(piece) - offset :], 0, None))
            continue
        shown.append((piece[: max(0, len(text) - offset)], min(offset, len(text)), place))
        offset += len(piece)
    return LazyTokens(len(shown), lambda index: _token(*shown[index]))


def _token(text: str, offset: int, place: _Place | None) -> Token:
    if place is None:
        return Token(text, offset, None, {})
    others = {
        other.token: other.logprob
        for other in place.top_logprobs
        if other.token != place.token and other.logprob > _NO_LOGPROB
    }
    return Token(text, offset, place.logprob if place.logprob > _NO_LOGPROB else None, others)


def _start_of(text: str, written: str) -> int | None:
    """Where `text` begins in what the tokens write: at its head, or behind a thought; None elsewhere."""
    if written.startswith(text):
        return 0
    try:
        answer = answer_start(written, TraceError)
    except TraceError:
        return None
    start = written.find(text, answer)
    return start if answer > 0 and start >= 0 and not written[answer:start].strip() else None


def _spelled(places: Sequence[_Place]) -> Iterator[str]:
    return (place.token for place in places)


def _decoded(places: Sequence[_Place]) -> Iterator[str]:
    """Each token's text from its bytes; a character that several tokens write belongs to the last of them."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for place in places:
        try:
            yield decoder.decode(bytes(place.bytes or place.token.encode()))
        except ValueError:  # a number that is no byte
            return
