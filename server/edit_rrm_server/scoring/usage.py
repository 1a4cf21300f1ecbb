"""Token counts of completions, summed into the `usage` of an answer."""

from edit_rrm.wire import Usage
from edit_rrm_server.engines.engine import Completion

NO_USAGE = Usage()


def usage_of(completion: Completion) -> Usage:
    """What one completion cost."""
    return Usage(
        prompt_tokens=completion.prompt_tokens,
        cached_prompt_tokens=completion.cached_prompt_tokens,
        completion_tokens=completion.completion_tokens,
    )


def add_usage(one: Usage, other: Usage) -> Usage:
    """The sum of two."""
    return Usage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        cached_prompt_tokens=one.cached_prompt_tokens + other.cached_prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
    )
