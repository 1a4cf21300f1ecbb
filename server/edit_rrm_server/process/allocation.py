"""How the C library hands memory back: not at once, since the next picture needs as much again."""

import contextlib
import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES = 256 * 2**20
_LARGEST_FROM_HEAP = 32 * 2**20  # the most that glibc takes


def keep_freed_memory() -> bool:
    """Has glibc keep up to 256 MiB of freed memory, of blocks up to 32 MiB; False where there is no glibc.

    Else every body and picture of some megabytes is mapped, zeroed page by page and unmapped again, which
    took as long as all else that the event loop does. What the operator's environment says goes first.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(
            mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        )
    return False
