"""Long work on files in a Python process of its own: it gives its memory back, and can be ended.

The child writes JSON lines on its standard output: reports, notes, and last its result or its error. Only a
CheckpointError is a message for people; anything else is a fault of ours and comes with its traceback.
"""

import asyncio
import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.ending_with_service import end_with_service

logger = logging.getLogger(__name__)

_END_S = 5.0
_LAST_LINES = 12

Report = Callable[[int, int], None]  # done and total, bytes


async def run_in_child(
    module: str,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str],
    report: Report = lambda *_: None,
) -> str:
    """The result of `module`, run with `arguments`. Cancelling ends the process.

    Raises CheckpointError with the child's own message, or with the end of what it wrote.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, json.dumps(arguments),
        env=dict(environment), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = asyncio.create_task(process.stderr.read())
    try:
        last: dict[str, Any] = {}
        async for line in process.stdout:
            last = json.loads(line)
            if "done" in last:
                report(last["done"], last["total"])
            elif "note" in last:
                logger.warning("%s", last["note"])
        written = (await complaints).decode(errors="replace").strip().splitlines()
        status = await process.wait()
    finally:
        complaints.cancel()
        await _end(process)
    if "result" in last:
        return str(last["result"])
    if "error" in last:
        raise CheckpointError(last["error"])
    ending = " | ".join(written[-_LAST_LINES:]) or "it wrote nothing"
    raise CheckpointError(f"{module.rpartition('.')[2]} ended with status {status}: {ending}")


def answer(work: Callable[[dict[str, Any]], str]) -> None:
    """The child's side: does `work` with its arguments and writes the result, or the message of its error."""
    end_with_service()
    sys.stdout = sys.stderr  # what libraries print is no line of ours
    try:
        result = work(json.loads(sys.argv[1]))
    except CheckpointError as error:
        _write({"error": str(error)})
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    else:
        _write({"result": result})


def tell(done_bytes: int, total_bytes: int) -> None:
    """The child's side: how far it is."""
    _write({"done": done_bytes, "total": total_bytes})


def note(text: str) -> None:
    """The child's side: a warning for the log."""
    _write({"note": text})


def _write(line: Mapping[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(line) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
