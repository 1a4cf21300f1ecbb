"""Percentiles, bars and the lines below every table."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

console = Console()
progress = Console(stderr=True)


@dataclass(frozen=True)
class Bar:
    """What a benchmark must show. `at_least` tells which side of `limit` is the good one."""

    what: str
    limit: float
    at_least: bool
    unit: str = ""

    def met(self, measured: float) -> bool:
        """Whether the measured value reaches it; NaN does not."""
        return measured >= self.limit if self.at_least else measured <= self.limit

    def judge(self, measured: float) -> None:
        """Prints the bar, the measured value and whether it is met."""
        side = "at least" if self.at_least else "at most"
        verdict = "[green]met[/green]" if self.met(measured) else "[red]MISSED[/red]"
        unit = f" {self.unit}" if self.unit else ""
        console.print(f"{self.what}: {measured:.3g}{unit}, bar {side} {self.limit:g}{unit}: {verdict}")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed; NaN without values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def say_machine() -> None:
    """Prints cores and load, without which no figure can be compared."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print(f"{len(os.sched_getaffinity(0))} cores, load average {load}")
