"""Why vLLM did not start: what its processes logged, found again for the message that people see.

vLLM's engine core runs in a process of its own (and its workers in others), whose error says what is wrong;
what reaches this process is that it failed. Their log goes where it went before, its errors to a file too.
"""

import atexit
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from pydantic import ValidationError

from edit_rrm.setting_problems import problems
from edit_rrm_server.errors import EngineStartError

_LONGEST_CHARS = 600
# An exception's own line in a traceback: "torch.OutOfMemoryError: CUDA out of memory. …".
_RAISED = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b.*|^(?:\w+\.)*Exception: .*"
)
# An exception that only tells of another process's.
_POINTER = re.compile(
    r"see (?:the )?(?:root cause|stack trace)|in a background process|initialization failed", re.I
)
_KILLED = re.compile(r"'([^']+)': -9\b")

_error_log: Path | None = None


def log_errors_to_file() -> None:
    """Has vLLM log its errors to a file too, unless the operator set up its log. Call before importing it."""
    global _error_log
    taken = "VLLM_LOGGING_CONFIG_PATH" in os.environ or os.environ.get("VLLM_CONFIGURE_LOGGING") == "0"
    if taken or _error_log is not None:
        return
    directory = Path(tempfile.mkdtemp(prefix="edit-rrm-vllm-"))
    owner = os.getpid()  # processes forked from this one end, too
    atexit.register(lambda: shutil.rmtree(directory, ignore_errors=True) if os.getpid() == owner else None)
    _error_log = directory / "errors.log"
    level = os.environ.get("VLLM_LOGGING_LEVEL", "ERROR")
    stream = os.environ.get("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": "%(levelname)s %(name)s: %(message)s"},
            "bare": {"format": "%(message)s"},
        },
        "handlers": {
            "shown": {
                "class": "logging.StreamHandler", "stream": stream, "level": level, "formatter": "plain",
            },
            "kept": {
                "class": "logging.FileHandler", "filename": str(_error_log), "delay": True, "level": "ERROR",
                "formatter": "bare",
            },
        },
        "loggers": {"vllm": {"handlers": ["shown", "kept"], "level": level, "propagate": False}},
    }  # fmt: skip
    file = directory / "logging.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    os.environ["VLLM_LOGGING_CONFIG_PATH"] = str(file)


def forget_errors() -> None:
    """What was logged until now belongs to an earlier engine."""
    if _error_log is not None:
        _error_log.unlink(missing_ok=True)


def start_error(error: Exception) -> EngineStartError:
    """What to tell of an engine that did not start: the cause in its own words, as far as it left any."""
    logged = ""
    if _error_log is not None and _error_log.is_file():
        logged = _error_log.read_text(encoding="utf-8", errors="replace")
    said = (
        "; ".join(problems(error))
        if isinstance(error, ValidationError)
        else f"{type(error).__name__}: {error}"
    )
    causes = [cause for cause in raised(logged) if cause not in said] or [said]
    killed = _KILLED.search(str(error))
    if killed is not None:
        causes.append(f"{killed[1]} was killed (signal 9), as when the machine has no memory left")
    return EngineStartError(f"vLLM did not start: {'; '.join(causes)}")


def raised(log: str) -> list[str]:
    """The exceptions that a log's tracebacks end in, first and last, without those that point to others."""
    found: list[str] = []
    lines = log.splitlines()
    for place, line in enumerate(lines):
        if not _RAISED.match(line):
            continue
        more = next((end for end in range(place + 1, len(lines)) if _ends_message(lines[end])), len(lines))
        text = " ".join(part.strip() for part in lines[place:more] if part.strip())[:_LONGEST_CHARS]
        if not _POINTER.search(text) and text not in found:
            found.append(text)
    return found if len(found) < 2 else [found[0], found[-1]]


def _ends_message(line: str) -> bool:
    return (
        not line.strip()
        or line.startswith(("Traceback ", "EngineCore ", "WorkerProc "))
        or bool(_RAISED.match(line))
    )
