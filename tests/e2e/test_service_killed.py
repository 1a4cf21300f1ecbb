"""kill -9 of the service itself: nobody is left to end what it started, and all of it ends."""

from pathlib import Path

import psutil
from service_process import ServiceProcess

END_LIMIT_S = 30.0


def test_nothing_outlives_a_killed_service(tmp_path: Path) -> None:
    process = ServiceProcess(tmp_path)
    try:
        process.wait_until_ready()
        below = [child for child in process.processes() if child.pid != process.process.pid]
        assert len(below) >= 2  # fork server and engine
        process.process.kill()
        process.process.wait()
        _, left = psutil.wait_procs(process.processes(), timeout=END_LIMIT_S)
        assert [" ".join(child.cmdline()) for child in left] == []
    finally:
        process.end()
        process.left_behind(within_s=0.0)
