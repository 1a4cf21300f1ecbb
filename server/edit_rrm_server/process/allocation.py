"""How the C library hands memory back: not at once, since the next picture needs as much again."""

import contextlib
import ctypes
import os

_LARGEST_FROM_HEAP = 32 * 2**20  # the most that glibc takes
_KEPT_BYTES = 256 * 2**20
_SETTINGS = {  # by the variables that say the same, their numbers in malloc.h
    "MALLOC_MMAP_THRESHOLD_": (-3, _LARGEST_FROM_HEAP),
    "MALLOC_TRIM_THRESHOLD_": (-1, _KEPT_BYTES),
}


def keep_freed_memory() -> bool:
    """Has glibc keep up to 256 MiB of freed memory, of blocks up to 32 MiB; False where it does not.

    Else every body and picture of some megabytes is mapped, zeroed page by page and unmapped again, which
    took as long as all else that the event loop does. What the operator's environment says goes first.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        done = [mallopt(*said) for name, said in _SETTINGS.items() if name not in os.environ]
        return bool(done) and all(done)
    return False
