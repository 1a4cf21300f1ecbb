"""What vLLM drew for a prompt, as plain values: one process may have drawn it and another read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edit_rrm.tokens import TokenReader
from edit_rrm_server.engines.engine import Completion, FinishReason
from edit_rrm_server.engines.vllm.errors import finish_error
from edit_rrm_server.engines.vllm.rendering import RenderedPrompt


@dataclass(frozen=True)
class Drawn:
    """One text's tokens and their log-probabilities (vLLM's flat ones), and what the prompt cost."""

    text: str
    token_ids: Sequence[int]
    logprobs: Any
    prompt_tokens: int
    cached_prompt_tokens: int
    finish_reason: FinishReason
    thought_opened: bool

    def completion(self, reader: TokenReader) -> Completion:
        """As the service has it. Its tokens are read when they are looked at."""
        return Completion(
            text=self.text,
            tokens=reader.tokens(self.text, self.token_ids, self.logprobs),
            prompt_tokens=self.prompt_tokens,
            cached_prompt_tokens=self.cached_prompt_tokens,
            completion_tokens=len(self.token_ids),
            finish_reason=self.finish_reason,
            thought_opened=self.thought_opened,
        )


def drawn(output: Any, rendered: RenderedPrompt, reader: TokenReader) -> Drawn:
    """Of vLLM's last output for a prompt, None for none. Raises ServiceError for what is no text."""
    if output is None or not output.outputs:
        raise finish_error(None)
    written = output.outputs[0]
    if written.finish_reason not in ("stop", "length"):
        raise finish_error(written.finish_reason)
    return Drawn(
        reader.text(written.token_ids),
        written.token_ids,
        written.logprobs,
        len(output.prompt_token_ids or ()),
        output.num_cached_tokens or 0,
        written.finish_reason,
        rendered.thought_opened,
    )
