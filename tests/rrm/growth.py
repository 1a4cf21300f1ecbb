"""Does a reader's time grow as its text does? Told by a ratio: no limit in seconds holds on every machine."""

import gc
import time
from collections.abc import Callable

LENGTH, QUARTER = 100_000, 25_000
# A linear reader takes 4 times as long for 4 times the text, a quadratic one 16 times.
RATIO_LIMIT = 10.0
# Less is noise, and no trouble to anybody.
SHORT_S = 0.4


def assert_grows_as_its_text(read: Callable[[str], object], opening: str, unit: str) -> None:
    """`read` gets `opening` and as many `unit` as make 100 KB, and a quarter of them."""
    long_s = _cpu_s(read, opening + unit * (LENGTH // len(unit)))
    if long_s > SHORT_S:
        quarter = opening + unit * (QUARTER // len(unit))
        quarter_s = min(_cpu_s(read, quarter) for _ in range(2))
        assert long_s < RATIO_LIMIT * quarter_s, (long_s, quarter_s)


def _cpu_s(read: Callable[[str], object], text: str) -> float:
    gc.disable()  # a collection takes as long as whatever else the process holds is large
    try:
        started = time.thread_time()
        read(text)
        return time.thread_time() - started
    finally:
        gc.enable()
