"""Is a product of matrices faster in bfloat16 than in float32 on this CPU?

    PYTHONPATH=benchmarks .venv/bin/python research/bfloat16_products.py [--rounds 5] [--size 512]

The two types take turns, one thread, half a second each a round. Trainings that ask for bfloat16 compute in
float32 where `edit_rrm.cpu.has_bfloat16` says no; what it says of this CPU is printed beside the figures.
"""

import statistics
import time
from typing import Annotated

import torch
import typer
from rich.table import Table
from rig.report import console, say_machine

from edit_rrm.cpu import has_bfloat16

SECONDS = 0.5
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def gflops(matrix: torch.Tensor) -> float:
    """Products of a square matrix with itself, as 10^9 operations a second."""
    begun, products = time.perf_counter(), 0
    while time.perf_counter() - begun < SECONDS:
        matrix @ matrix
        products += 1
    return products * 2 * int(matrix.shape[0]) ** 3 / (time.perf_counter() - begun) / 1e9


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Times that each type is measured.")] = 5,
    size: Annotated[int, typer.Option(min=1, help="Rows and columns of the matrix.")] = 512,
) -> None:
    """Prints the median rate of each type and the ratios of the rounds."""
    torch.set_num_threads(1)
    matrix = torch.randn(size, size)
    for dtype in TYPES.values():
        matrix.to(dtype) @ matrix.to(dtype)  # the first product of a type sets it up
    measured = [{name: gflops(matrix.to(dtype)) for name, dtype in TYPES.items()} for _ in range(rounds)]
    ratios = [each["float32"] / each["bfloat16"] for each in measured]
    table = Table("type", "median GFLOPS", title=f"{rounds} rounds, {size} x {size}, one thread")
    for name in TYPES:
        table.add_row(name, f"{statistics.median(each[name] for each in measured):.1f}")
    console.print(table)
    has = has_bfloat16(torch.cpu.get_capabilities())
    console.print(
        f"a product in bfloat16 takes {statistics.median(ratios):.2f} times as long as in float32 "
        f"({min(ratios):.2f} to {max(ratios):.2f}); has_bfloat16: {has}"
    )
    say_machine()


if __name__ == "__main__":
    typer.run(main)
