"""Does SFT's memory stay flat from 20,000 rows to two million?

    .venv/bin/python benchmarks/sft_rows_memory.py [--counts 20000,200000,2000000] [--batches 200]

Short rows without pictures of their own, in Parquet shards, read as `edit-rrm-train sft` reads them: checked
and stored as a mapped table, then drawn in the order of an epoch, batch by batch, by accelerate's sampler.
Each count is a process of its own. Printed: private memory at its highest (RssAnon: what a rank really takes)
and resident memory at the end, which counts pages of the table that the system may take back. No model is
loaded. Bar: private memory of the most rows is at most 1.3 of that of the fewest. (The order of an epoch is a
list of numbers, of about 40 bytes a row.)
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.table import Table
from rig.report import Bar, console, progress, say_machine

BAR = Bar("private memory, most rows against fewest", 1.3, at_least=False)
SHARD_ROWS = 50_000
BATCH = 16
TRACE = "1. the car is blue now => 1\n2. the road is as it was => 1\n3. it is clean => 1\naverage 1.00\n"
PRINCIPLES = [
    {"id": "p1", "category": "follow", "question": "Is the car blue?"},
    {"id": "p2", "category": "keep", "question": "Is the road as it was?"},
    {"id": "p3", "category": "quality", "question": "Is the picture clean?"},
]


def write_rows(folder: Path, count: int) -> None:
    """Verifications of one picture that differ in id and instruction."""
    folder.mkdir()
    for first in range(0, count, SHARD_ROWS):
        numbers = range(first, min(first + SHARD_ROWS, count))
        every = len(numbers)
        table = pa.table(
            {
                "id": [str(number) for number in numbers],
                "task": ["verify"] * every,
                "instruction": [f"make car number {number} blue and leave the road" for number in numbers],
                "source": ["source.png"] * every,
                "candidate": ["candidate.png"] * every,
                "principles": [PRINCIPLES] * every,
                "completion": [f"{TRACE}<score>{number % 10}.5</score>" for number in numbers],
            }
        )
        pq.write_table(table, folder / f"rows-{first:08}.parquet")


def memory_mib(field: str) -> float:
    """A line of this process's status: RssAnon, VmRSS."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/self/status has no {field}")


def read(folder: Path, batches: int) -> str:
    """Stores the rows and draws from them; private and resident memory in MiB, seconds of storing."""
    from accelerate.data_loader import SeedableRandomSampler
    from datasets import disable_progress_bars

    from edit_rrm.judges import TrainedProfile
    from edit_rrm_training.data.row_store import row_at, sft_rows_of, store_rows
    from edit_rrm_training.data.sft_rows import SftRow, prompt_of
    from edit_rrm_training.data.shards import shards
    from edit_rrm_training.errors import RowError

    disable_progress_bars()
    private = []

    def reader(file: Path) -> Iterator[tuple[int, SftRow | RowError]]:
        yield from sft_rows_of(file)
        private.append(memory_mib("RssAnon"))

    began = time.perf_counter()
    stored = store_rows(shards(folder), folder / "store", read=reader)
    took_s = time.perf_counter() - began
    order = iter(SeedableRandomSampler(stored, data_seed=0))
    for _ in range(batches):
        for _ in range(BATCH):
            row, _, _ = row_at(stored[next(order)])
            prompt_of(row, TrainedProfile()).chat()
        private.append(memory_mib("RssAnon"))
    return f"{max(private)} {memory_mib('VmRSS')} {took_s}"


def main(
    counts: Annotated[str, typer.Option(help="Rows, fewest first.")] = "20000,200000,2000000",
    batches: Annotated[int, typer.Option(help=f"Batches of {BATCH} rows that are drawn.")] = 200,
    child: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Prints a line a count, and the bar."""
    if child is not None:
        print(read(child, batches))
        return
    table = Table("rows", "private MiB", "resident MiB", "stored in s", title="SFT rows in memory")
    private = []
    with tempfile.TemporaryDirectory() as home:
        for count in map(int, counts.split(",")):
            folder = Path(home) / str(count)
            progress.print(f"{count} rows")
            write_rows(folder, count)
            command = [sys.executable, __file__, "--batches", str(batches), "--child", str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            anon, resident, took_s = map(float, done.stdout.split()[-3:])
            private.append(anon)
            table.add_row(f"{count:,}", f"{anon:.0f}", f"{resident:.0f}", f"{took_s:.0f}")
    console.print(table)
    BAR.judge(private[-1] / private[0])
    say_machine()


if __name__ == "__main__":
    typer.run(main)
