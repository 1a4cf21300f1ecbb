"""One request again and again, from a process of its own, so that no other work of a benchmark delays it."""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import httpx

from rig.calls import Body


@dataclass(frozen=True)
class Sample:
    """One request: when it was sent (monotonic seconds), how long it took."""

    sent_at: float
    took_s: float
    status: int


class Prober:
    """Asks while its block runs, pausing between two requests."""

    def __init__(self, url: str, path: str, body: Body | None, pause_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._mine, self._theirs = context.Pipe()
        arguments = (self._theirs, url + path, body, pause_s)
        self._process = context.Process(target=_probe, args=arguments, daemon=True)

    def __enter__(self) -> "Prober":
        self._process.start()
        self._theirs.close()  # so that the end of the process is seen here
        self._mine.recv()  # its first request has been answered
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def end(self) -> list[Sample]:
        """Stops it and returns what it saw."""
        self._mine.send("end")
        samples: list[Sample] = self._mine.recv()
        return samples

    def wait_for(self, count: int) -> list[Sample]:
        """What it saw once it has sent `count` requests."""
        self._mine.send(count)
        samples: list[Sample] = self._mine.recv()
        return samples


def _probe(pipe: Connection, url: str, body: Body | None, pause_s: float) -> None:
    """The process: until told "end", or until it has made as many requests as it is told."""
    samples: list[Sample] = []
    wanted: int | None = None
    with httpx.Client(timeout=600.0) as http:
        while True:
            started = time.monotonic()
            if body is None:
                answer = http.get(url)
            else:
                answer = http.post(url, content=body.content, headers={"Content-Type": body.content_type})
            samples.append(Sample(started, time.monotonic() - started, answer.status_code))
            if len(samples) == 1:
                pipe.send("started")
            if wanted is None and pipe.poll():
                told = pipe.recv()
                wanted = len(samples) if told == "end" else told
            if wanted is not None and len(samples) >= wanted:
                pipe.send(samples)
                return
            time.sleep(pause_s)
