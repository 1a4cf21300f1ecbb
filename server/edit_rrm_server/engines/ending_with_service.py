"""Processes that the service started end once it has, however it ended: kill -9 leaves nobody to tell them.

A parent-death signal would not do: it is sent when the thread that started a process ends, and a fork server
stands between the service and its engine.
"""

import os
import signal
import threading
import time

import psutil  # type: ignore[import-untyped]

_NAME = "_EDIT_RRM_SERVICE"  # in the environment, which children inherit: process id and start of the service
_LOOK_S = 1.0
_THREAD_NAME = "ends-with-service"


def announce_service() -> None:
    """This process is the service. Before any other is started."""
    os.environ[_NAME] = f"{os.getpid()} {psutil.Process().create_time()}"


def end_with_service() -> None:
    """Has this process killed once the service is gone; nothing where no service has announced itself."""
    told = os.environ.get(_NAME)
    if told is None or told.startswith(f"{os.getpid()} ") or _is_watching():
        return
    process_id, started_at = told.split()
    threading.Thread(
        target=_watch, args=(int(process_id), float(started_at)), name=_THREAD_NAME, daemon=True
    ).start()


def _is_watching() -> bool:
    return any(thread.name == _THREAD_NAME for thread in threading.enumerate())


def _watch(process_id: int, started_at: float) -> None:
    while _lives(process_id, started_at):
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _lives(process_id: int, started_at: float) -> bool:
    """Whether that process lives, and not another one that got its id."""
    try:
        process = psutil.Process(process_id)
        return bool(process.create_time() == started_at and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
