"""Programs of Debian that tests need: installed where they are absent, and said to be."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def require(package: str, *programs: str) -> None:
    """Installs the package where a program of it is missing. Fails the test where it cannot."""
    if all(map(shutil.which, programs)):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.fail(f"{', '.join(programs)} must be there: on Debian, `apt-get install {package}` as root")
    with (Path(tempfile.gettempdir()) / "edit-rrm-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # apt-get does not wait for another of its kind
        if all(map(shutil.which, programs)):
            return
        print(f"installing Debian's package {package}, which these tests need")
        for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            subprocess.run(
                ["apt-get", *command], check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
