"""Chat completions of the OpenAI API: a prompt becomes a request body, an answer a `Completion`. Pure.

Text and images keep their order, so a server that renders the checkpoint's own chat template reads the
very prompt that the engine in this process would.
"""

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edit_rrm.errors import TraceError
from edit_rrm.judges.texts.thinking import answer_start
from edit_rrm.prompts import ImageSlot, Prompt
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

    def body(self, prompt: Prompt, urls: Mapping[ImageSlot, str], sampling: SamplingSettings) -> bytes:
        """The JSON of POST /chat/completions; `urls` are the images as data URLs."""
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
        return json.dumps(request, separators=(",", ":")).encode()


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Shown(_Model):
    token: str
    logprob: float = _NO_LOGPROB
    bytes: Sequence[int] | None = None


class _Place(_Shown):
    top_logprobs: Sequence[_Shown] = ()


class _Logprobs(_Model):
    content: Sequence[_Place] | None = None


class _Message(_Model):
    content: str | None = None


class _Choice(_Model):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(_Model):
    cached_tokens: int | None = None


class _Usage(_Model):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _PromptDetails | None = None


class _Answer(_Model):
    choices: Sequence[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def read_completion(body: bytes) -> Completion:
    """The completion of an answer. Without log-probabilities it has no tokens.

    Raises UpstreamError for another form, and for a text that ended neither by itself nor at its length.
    """
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as error:
        raise unusable(f"{error.error_count()} fields are not as the OpenAI API has them") from None
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


def _tokens(text: str, places: Sequence[_Place]) -> tuple[Token, ...]:
    """The tokens that wrote `text`; none if theirs is another text: an offset must not point elsewhere.

    A fleet's reasoning parser takes a thought out of the text and leaves its tokens: those before the answer
    are left out. Tokens that the text leaves out, like the one that ends it, have no text.
    """
    for pieces in (tuple(_decoded(places)), tuple(place.token for place in places)):
        written = "".join(pieces)
        start = _start_of(text, written)
        if start is not None:
            break
    else:
        return ()
    tokens, offset = [], -start
    for place, piece in zip(places, pieces, strict=True):
        if offset < 0:  # of the thought; a token that ends it and begins the answer is not the answer's alone
            offset += len(piece)
            if offset > 0:
                tokens.append(Token(piece[len(piece) - offset :], 0, None, {}))
            continue
        shown = piece[: max(0, len(text) - offset)]
        others = {
            other.token: other.logprob
            for other in place.top_logprobs
            if other.token != place.token and other.logprob > _NO_LOGPROB
        }
        logprob = place.logprob if place.logprob > _NO_LOGPROB else None
        tokens.append(Token(shown, min(offset, len(text)), logprob, others))
        offset += len(piece)
    return tuple(tokens)


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


def _decoded(places: Sequence[_Place]) -> Iterator[str]:
    """Each token's text from its bytes; a character that several tokens write belongs to the last of them."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for place in places:
        try:
            yield decoder.decode(bytes(place.bytes or place.token.encode()))
        except ValueError:  # a number that is no byte
            return
