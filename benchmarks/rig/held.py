"""What a service holds: jobs, bytes, connections, tasks, descriptors, threads, memory."""

import asyncio
import time
from dataclasses import dataclass

import httpx
import psutil  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from rig.processes import ServerProcess

SETTLE_LIMIT_S = 90.0
SLACK_TASKS, SLACK_DESCRIPTORS = 2, 5
"""Of an event loop between two turns, and of an engine that was replaced."""
_POLL_S = 0.25


@dataclass(frozen=True)
class Held:
    """A look from outside. `connections` counts the one that looked."""

    waiting_jobs: int
    running_jobs: int
    held_bytes: int
    connections: int
    tasks: int
    descriptors: int
    threads: int
    server_mib: float

    def is_free(self, before: "Held") -> bool:
        """Whether nothing is held that was not before; memory apart, which caches may keep."""
        return (
            self.waiting_jobs == self.running_jobs == self.held_bytes == 0
            and self.connections <= before.connections
            and self.tasks <= before.tasks + SLACK_TASKS
            and self.descriptors <= before.descriptors + SLACK_DESCRIPTORS
        )


async def held(server: ServerProcess) -> Held:
    """What is held now."""
    async with httpx.AsyncClient(timeout=60.0) as http:
        text = (await http.get(f"{server.url}/metrics")).text
    process = psutil.Process(server.pid)

    def of(metric: str) -> int:
        families = text_string_to_metric_families(text)
        return int(sum(s.value for family in families for s in family.samples if s.name == metric))

    return Held(
        of("edit_rrm_queue_jobs"),
        of("edit_rrm_jobs_in_flight"),
        of("edit_rrm_held_bytes"),
        of("edit_rrm_connections"),
        of("edit_rrm_tasks"),
        process.num_fds(),
        process.num_threads(),
        process.memory_info().rss / 2**20,
    )


async def let_go(server: ServerProcess, before: Held) -> tuple[Held, float]:
    """What is held once it is free, or after a while, and the seconds that took."""
    started = time.monotonic()
    while True:
        now = await held(server)
        took_s = time.monotonic() - started
        if now.is_free(before) or took_s > SETTLE_LIMIT_S:
            return now, took_s
        await asyncio.sleep(_POLL_S)
