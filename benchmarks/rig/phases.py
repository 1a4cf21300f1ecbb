"""Seconds and peak memory of the named parts of a training step, on a CPU or a GPU."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Phases:
    """Counts named parts; of nested parts, the inner is not the outer's. A GPU is waited for at each edge.

    Memory is the process's resident set, or what CUDA allocated, sampled every 10 ms.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.peak_bytes: dict[str, int] = defaultdict(int)
        """Since the first step ended, or since the beginning where none did."""
        self.steps: list[dict[str, float]] = []
        """Of every ended step the seconds by part; REST is what no part counted."""
        self._stack: list[tuple[str, float]] = []
        self._inner_s: list[float] = []
        self._of_step: dict[str, float] = defaultdict(float)
        self._step_began_s = time.perf_counter()
        self._process = psutil.Process()
        threading.Thread(target=self._sample, daemon=True).start()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Counts what happens inside as `name`."""
        _wait_for_gpu()
        self._stack.append((name, time.perf_counter()))
        self._inner_s.append(0.0)
        try:
            yield
        finally:
            _wait_for_gpu()
            _, started = self._stack.pop()
            took_s = time.perf_counter() - started
            own_s = took_s - self._inner_s.pop()
            self.seconds[name].append(own_s)
            self._of_step[name] += own_s
            if self._inner_s:
                self._inner_s[-1] += took_s

    def wrap(self, owner: Any, method: str, name: str | Callable[[], str]) -> None:
        """Counts every call of `owner.method` as `name`, which may depend on the moment."""
        inner: Callable[..., Any] = getattr(owner, method)

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.of(name if isinstance(name, str) else name()):
                return inner(*args, **kwargs)

        setattr(owner, method, counted)

    def wrap_updates(self) -> None:
        """Counts every backward pass of a tensor and every step of an optimiser in this process."""
        self.wrap(torch.Tensor, "backward", "backward")
        opened: list[Any] = []

        def begin(*_: Any) -> None:
            opened.append(self.of("optimizer"))
            opened[-1].__enter__()

        def end(*_: Any) -> None:
            opened.pop().__exit__(None, None, None)

        register_optimizer_step_pre_hook(begin)
        register_optimizer_step_post_hook(end)

    def end_step(self) -> None:
        """A step ends here, and the next one begins."""
        _wait_for_gpu()
        now_s = time.perf_counter()
        counted = dict(self._of_step)
        self.steps.append(counted | {REST: now_s - self._step_began_s - sum(counted.values())})
        self._of_step.clear()
        if len(self.steps) == 1:
            self.peak_bytes.clear()
            if torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()
        self._step_began_s = now_s

    def _sample(self) -> None:
        while True:
            if self._stack:
                name = self._stack[-1][0]
                cuda = torch.cuda.is_available()
                now = torch.cuda.memory_allocated() if cuda else self._process.memory_info().rss
                self.peak_bytes[name] = max(self.peak_bytes[name], now)
            time.sleep(0.01)


REST = "rest"
