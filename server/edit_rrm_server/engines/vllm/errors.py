"""What vLLM raises and how it ends prompts, each mapped to one code of the API. Imports nothing of vLLM.

An exception is looked up by the full name of its class, then of each of its bases: the nearest wins.
"""

from collections.abc import Mapping
from types import MappingProxyType

from edit_rrm_server.engines.watched_engine import engine_dead
from edit_rrm_server.errors import EngineError, QueueFullError, RequestRefusedError, ServiceError

_FULL_RETRY_S = 1.0

CODES: Mapping[str, str] = MappingProxyType(
    {
        # The engine process is gone, or its sockets are.
        "vllm.v1.engine.exceptions.EngineDeadError": "engine_dead",
        "zmq.error.ZMQError": "engine_dead",
        # The prompt cannot be taken: too long, an image too large, a parameter out of range.
        "vllm.exceptions.VLLMClientError": "invalid_request",
        "vllm.exceptions.VLLMValidationError": "invalid_request",
        "vllm.exceptions.VLLMUnprocessableEntityError": "invalid_request",
        "vllm.exceptions.VLLMNotFoundError": "invalid_request",
        "vllm.exceptions.LoRAAdapterNotFoundError": "invalid_request",
        "builtins.ValueError": "invalid_request",  # of input processing, without a type of its own
        # vLLM's own limits on its queue, which this service does not set but an operator may.
        "vllm.exceptions.GracefulHTTPError": "queue_full",
        "vllm.exceptions.QueueOverflowError": "queue_full",
        "vllm.exceptions.MaxQueuedTokensError": "queue_full",
        # This prompt failed; others may still work.
        "vllm.exceptions.VLLMError": "engine_failed",
        "vllm.exceptions.VLLMServerError": "engine_failed",
        "vllm.exceptions.GenerationError": "engine_failed",
        "vllm.v1.engine.exceptions.EngineGenerateError": "engine_failed",  # if it has no cause of its own
        "builtins.TimeoutError": "engine_failed",
        "builtins.Exception": "engine_failed",  # everything else
    }
)

FINISH_CODES: Mapping[str | None, str] = MappingProxyType(
    {
        "abort": "engine_dead",  # nobody here waits for a prompt he aborted: the engine is shutting down
        "error": "engine_failed",
        "repetition": "engine_failed",
        None: "engine_failed",
    }
)

_WRAPPER = "vllm.v1.engine.exceptions.EngineGenerateError"


def service_error(error: Exception) -> ServiceError:
    """The service's error for one of vLLM's. What vLLM wrapped as unexpected is judged by its cause."""
    if full_name(type(error)) == _WRAPPER and isinstance(error.__cause__, Exception):
        error = error.__cause__
    code = next(CODES[name] for name in map(full_name, type(error).__mro__) if name in CODES)
    match code:
        case "engine_dead":
            return engine_dead()
        case "invalid_request":
            return RequestRefusedError(code, f"the model cannot take the prompt: {error}")
        case "queue_full":
            return QueueFullError("the engine's own queue is full", _FULL_RETRY_S)
        case _:  # the message may tell of anything; its place is the log, and vLLM writes it there
            return EngineError(f"vLLM could not finish the prompt: {type(error).__name__}")


def finish_error(reason: str | None) -> ServiceError:
    """The service's error for a prompt that ended other than by stopping or at its length."""
    if FINISH_CODES.get(reason) == "engine_dead":
        return engine_dead()
    return EngineError(f"vLLM ended the prompt with {reason!r}")


def full_name(kind: type) -> str:
    """The name the table knows a class by."""
    return f"{kind.__module__}.{kind.__qualname__}"
