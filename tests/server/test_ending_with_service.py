"""A process that watches the service ends with it, and one that watches none, or itself, does not."""

import os
import subprocess
import sys
import threading

import psutil
import pytest

from edit_rrm_server.engines import ending_with_service
from edit_rrm_server.engines.ending_with_service import announce_service, end_with_service

END_LIMIT_S = 20.0
# A service that starts a child between itself and the one that watches, as a fork server stands there.
SERVICE = f"""
import subprocess, sys
from edit_rrm_server.engines.ending_with_service import announce_service
announce_service()
between = subprocess.Popen([sys.executable, "-c", '''
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import {ending_with_service.__name__} as m, time, os; "
    "m.end_with_service(); print(os.getpid(), flush=True); time.sleep(600)"])
'''])
between.wait()
sys.stdin.read()
"""


def test_it_ends_although_its_parent_is_another_process() -> None:
    service = subprocess.Popen([sys.executable, "-c", SERVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert service.stdout is not None
    watching = psutil.Process(int(service.stdout.readline()))
    assert watching.is_running()
    service.kill()  # a zombie until somebody waits for it
    try:
        assert psutil.wait_procs([watching], END_LIMIT_S)[1] == []
    finally:
        service.communicate()


def test_a_process_without_a_service_and_the_service_itself_watch_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = threading.active_count()
    monkeypatch.delenv(ending_with_service._NAME, raising=False)
    end_with_service()
    monkeypatch.setenv(ending_with_service._NAME, "")
    announce_service()
    assert os.environ[ending_with_service._NAME].split()[0] == str(os.getpid())
    end_with_service()
    assert threading.active_count() == before


def test_another_process_of_the_same_id_is_not_the_service() -> None:
    me = psutil.Process()
    assert ending_with_service._lives(me.pid, me.create_time())
    assert not ending_with_service._lives(me.pid, me.create_time() - 1.0)
