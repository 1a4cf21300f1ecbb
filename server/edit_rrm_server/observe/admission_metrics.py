"""What admission reports: jobs that wait, start, are refused and are dropped."""

from collections.abc import Callable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from edit_rrm.wire import Priority
from edit_rrm_server.observe.buckets import SECONDS, TENTHS

Dropped = Literal["expired", "cancelled", "failed"]
"""Why jobs ended without a result: deadline passed, caller gone, or the call failed otherwise."""


class AdmissionMetrics:
    """Of the batcher."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queue_s = Histogram(
            "edit_rrm_queue_seconds",
            "How long jobs waited for the engine",
            ["lane"],
            buckets=SECONDS,
            registry=registry,
        )
        self._queue_jobs = Gauge("edit_rrm_queue_jobs", "Jobs that wait", ["lane"], registry=registry)
        self._queue_oldest_s = Gauge(
            "edit_rrm_queue_oldest_seconds",
            "How long ago the oldest call that waits arrived",
            ["lane"],
            registry=registry,
        )
        self._occupancy = Histogram(
            "edit_rrm_window_occupancy",
            "Share of the engine's window in use whenever a job starts",
            buckets=TENTHS,
            registry=registry,
        )
        self._dropped = Counter(
            "edit_rrm_jobs_dropped",
            "Jobs without a result by reason (expired, cancelled, failed) and place (queue, engine)",
            ["reason", "place"],
            registry=registry,
        )
        self._in_flight = Gauge("edit_rrm_jobs_in_flight", "Jobs in the engine", registry=registry)
        self._refused = Counter(
            "edit_rrm_jobs_refused", "Jobs of calls refused with queue_full", registry=registry
        )
        self._held = Gauge(
            "edit_rrm_held_bytes",
            "Bytes held: bodies, decoded pictures, answers that are not read yet",
            ["resource"],
            registry=registry,
        )
        self._capacity = Gauge(
            "edit_rrm_held_bytes_limit", "How many may be held", ["resource"], registry=registry
        )
        self._no_room = Counter(
            "edit_rrm_memory_refused",
            "Calls and lines refused with memory_full, by what fills it",
            ["resource"],
            registry=registry,
        )
        for reason in get_args(Dropped):
            for place in ("queue", "engine"):
                self._dropped.labels(reason, place)

    def watch_queue(self, jobs: Callable[[Priority], int], oldest_s: Callable[[Priority], float]) -> None:
        """Has the gauges of each lane read from these whenever metrics are."""
        for lane in get_args(Priority):
            self._queue_jobs.labels(lane).set_function(lambda lane=lane: float(jobs(lane)))  # type: ignore[misc]
            self._queue_oldest_s.labels(lane).set_function(lambda lane=lane: oldest_s(lane))  # type: ignore[misc]

    def watch_held(self, resource: str, capacity: int, held: Callable[[], int]) -> None:
        """Has the gauge of a resource read from `held` whenever metrics are."""
        self._held.labels(resource).set_function(held)
        self._capacity.labels(resource).set(capacity)
        self._no_room.labels(resource)

    def refused(self, resource: str) -> None:
        """Somebody found no room for bytes."""
        self._no_room.labels(resource).inc()

    def jobs_in_flight(self, count: int) -> None:
        """After every change."""
        self._in_flight.set(count)

    def jobs_refused(self, count: int) -> None:
        """A call of `count` jobs found no room."""
        self._refused.inc(count)

    def job_started(self, lane: Priority, waited_s: float, occupancy: float) -> None:
        """A job left the queue; `occupancy` is the share of the window then in use, itself included."""
        self._queue_s.labels(lane).observe(waited_s)
        self._occupancy.observe(occupancy)

    def jobs_dropped(self, reason: Dropped, waiting: int, in_engine: int) -> None:
        """A call ended with jobs that never started, and jobs that were aborted in the engine."""
        self._dropped.labels(reason, "queue").inc(waiting)
        self._dropped.labels(reason, "engine").inc(in_engine)
