"""A prompt's sampling as vLLM takes it.

vLLM gives token ids, and the service's own reader their texts: it would write the text of every watched token
anew at every step, where calls are answered.
"""

from collections.abc import Sequence
from typing import Any

from edit_rrm_server.engines.engine import SamplingSettings

TOP_LOGPROBS = 20
"""As many as vLLM shows of a place unless it is told otherwise (`max_logprobs`)."""


def vllm_parameters(
    sampling: SamplingSettings, watched_ids: Sequence[int], *, ends_thoughts: bool, speculates: bool
) -> Any:
    """vLLM's SamplingParams, which show the probabilities of `watched_ids`, if there are any, at every place.

    An engine that speculates shows those of its likeliest tokens alone: for tokens that are named, its step
    that checks guesses shows none. A watched token that is not among them has no probability there.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    schema = sampling.json_schema
    named, likeliest = list(watched_ids) or None, None
    if named and speculates:
        named, likeliest = None, TOP_LOGPROBS
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        structured_outputs=None if schema is None else StructuredOutputsParams(json=schema),
        seed=sampling.seed,
        max_tokens=sampling.max_tokens,
        thinking_token_budget=sampling.thinking_tokens or None if ends_thoughts else None,
        logprobs=likeliest,
        logprob_token_ids=named,
        output_kind=RequestOutputKind.FINAL_ONLY,
        detokenize=False,
        flat_logprobs=True,
    )
