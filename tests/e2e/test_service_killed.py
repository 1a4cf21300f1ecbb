"""kill -9 of the service itself: nobody is left to end what it started, and all of it ends."""

from pathlib import Path

import psutil
import pytest
from service_process import ServiceProcess

END_LIMIT_S = 30.0
BEHIND_FRONT_ENDS = ["data_parallel_size=2", "front_end_workers=2", "kv_cache_gib=0.3"]


@pytest.mark.parametrize("settings", [[], BEHIND_FRONT_ENDS], ids=["alone", "front ends"])
def test_nothing_outlives_a_killed_service(tmp_path: Path, settings: list[str]) -> None:
    process = ServiceProcess(tmp_path, *(part for setting in settings for part in ("--set", setting)))
    try:
        process.wait_until_ready()
        below = [child for child in process.processes() if child.pid != process.process.pid]
        assert len(below) >= 2 + len(settings)
        process.process.kill()
        process.process.wait()
        _, left = psutil.wait_procs(process.processes(), timeout=END_LIMIT_S)
        assert [" ".join(child.cmdline()) for child in left] == []
    finally:
        process.end()
        process.left_behind(within_s=0.0)
