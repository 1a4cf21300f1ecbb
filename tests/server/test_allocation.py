"""Freed memory stays with the process, unless the operator says how the C library is to go about it."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
from edit_rrm_server.process.allocation import keep_freed_memory
print(keep_freed_memory())
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3): bytes(bytearray(4_000_000))
before = faults()
for _ in range(20): bytes(bytearray(4_000_000))
print((faults() - before) // 20)
"""


def run(**environment: str) -> tuple[bool, int]:
    """Whether it was set, and page faults of 8 MB that are taken and given back."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    said, faults = done.stdout.split()
    return said == "True", int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the settings")
def test_memory_that_was_freed_is_taken_again_without_asking_the_system() -> None:
    assert run() == (True, pytest.approx(0, abs=50))
    said, faults = run(MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072")
    assert not said
    assert faults > 500
