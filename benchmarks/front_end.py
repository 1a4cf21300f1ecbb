"""What does the service itself cost a candidate, at the sizes and formats that people send?

    .venv/bin/python benchmarks/front_end.py [--repeats 5] [--only pictures,tokens,output,…]

The real application over real HTTP, around an engine that answers at once. Counted is the processor time of
the service's process, all its threads; the client's is not. A call is a source and eight candidates, each a
photograph with an edit of its own; the service keeps neither scores nor images. The floor is Pillow decoding
the same nine files, taken in turns with the calls: nobody can score a picture without that. Ratios are
medians over the repeats.

pictures: 512², 1024², 2048² as PNG, JPEG and WebP, guards on and off. tokens: traces of 64, 500 and 1,244
tokens beside small pictures. output: what vLLM itself does with a written token on the event loop. fleet: the
engine is an upstream that answers at once. health: /health while 64 pictures of 1024² arrive and decode.
cores: candidates a second with one core and with two. parts: where it goes, each part alone.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import psutil  # type: ignore[import-untyped]
import typer
from rich.table import Table
from rig.calls import Body
from rig.pictures import Edits, decode_bare, make_edits
from rig.prober import Prober
from rig.processes import ServerProcess, end_on_sigterm, free_port
from rig.report import Bar, console, percentile, progress, say_machine
from rig.vllm_output import SEQUENCES, WAYS, handling_ms
from transformers import AutoTokenizer

from edit_rrm.checkpoint import read_card, write_card
from edit_rrm.guards import EditGuards
from edit_rrm.images import decode_image
from edit_rrm_server.http.multipart import boundary_of, read_parts
from edit_rrm_server.settings.server import BUNDLED_MODEL

CANDIDATES = 8
WARM_UP_CALLS = 6
TOKENS = (64, 500, 1244)
SIZES = (512, 1024, 2048)
FORMATS = ("PNG", "JPEG", "WEBP", "WEBP lossless")
KINDS = ("pictures", "tokens", "output", "fleet", "health", "cores", "parts")
HEALTH_PICTURES = 64
HEALTH_PAUSE_S = 0.005
RIG = Path(__file__).parent / "rig"

PNG_BAR = Bar("1024² PNG, guards off, times bare decoding", 1.15, at_least=False)
JPEG_BAR = Bar("1024² JPEG, guards off, times bare decoding", 2.0, at_least=False)
GUARDS_BAR = Bar("what guards add at 1024² PNG", 9.0, at_least=False, unit="ms a candidate")
LOOP_BAR = Bar(
    "the event loop's own time at 1024² PNG, 500 tokens", 2.0, at_least=False, unit="ms a candidate"
)
HEALTH_BAR = Bar(
    "/health p99 while 64 pictures of 1024² PNG arrive and decode", 20.0, at_least=False, unit="ms"
)
FLEET_BAR = Bar("1024² PNG with guards in fleet mode, times bare decoding", 1.5, at_least=False)


@dataclass(frozen=True)
class Cost:
    """Processor milliseconds of one call."""

    service_ms: float
    loop_ms: float
    floor_ms: float


class Service:
    """The service under test, its client, and what it says of itself."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.http = httpx.Client(base_url=process.url, timeout=600.0)

    def used(self, *, watch: bool = False) -> dict[str, Any]:
        """Seconds of processor time so far; if watched, how late the loop was since the last time, ms."""
        told: dict[str, Any] = self.http.get("/bench", params={"watch": watch}).json()
        return told

    def score(self, edits: Edits, guards: str) -> dict[str, Any]:
        """One call. Raises RuntimeError unless every candidate has a reward."""
        body = edits.body(guards=guards)
        answer = self.http.post(
            "/v1/score", content=body.content, headers={"Content-Type": body.content_type}
        )
        if answer.status_code != 200:
            raise RuntimeError(f"a call failed: {answer.status_code} {answer.text[:300]}")
        told: dict[str, Any] = answer.json()
        if any(result["status"] != "ok" for result in told["results"]):
            raise RuntimeError(f"a candidate failed: {told['results'][0]}")
        return told

    def warm_up(self, edited: "Edited", guards: str) -> None:
        """Until memory that was freed is what the next call takes."""
        for _ in range(WARM_UP_CALLS):
            self.score(edited(1024, "JPEG"), guards)

    def cost(self, edits: Edits, guards: str) -> Cost:
        """What one call takes, beside the floor of its files."""
        floor_s = processor_s(lambda: decode_bare(edits.files))
        before = self.used()
        self.score(edits, guards)
        after = self.used()
        floor_s = (floor_s + processor_s(lambda: decode_bare(edits.files))) / 2
        service_s, loop_s = (after[name] - before[name] for name in ("process_s", "loop_s"))
        return Cost(1e3 * service_s, 1e3 * loop_s, 1e3 * floor_s)


@contextmanager
def service(tokens: int, **settings: object) -> Iterator[Service]:
    """The application around an engine that writes so many tokens at once."""
    port = free_port()
    settings = {"score_cache_mib": 0, "known_images_mib": 0, **settings}
    told = json.dumps({"tokens": tokens, "settings": settings})
    with ServerProcess(
        [sys.executable, str(RIG / "instant_service.py"), str(port), told], port, "/ready"
    ) as up:
        yield Service(up)


@contextmanager
def fleet(tokens: int, **settings: object) -> Iterator[Service]:
    """The same in front of one upstream."""
    port = free_port()
    command = [sys.executable, str(RIG / "instant_upstream.py"), str(port), str(tokens)]
    path = {"PYTHONPATH": str(RIG.parent)}
    with (
        tempfile.TemporaryDirectory() as card,
        ServerProcess(command, port, "/v1/models", path) as upstream,
    ):
        write_card(Path(card), read_card(BUNDLED_MODEL).model_copy(update={"max_image_side": None}))
        fleet = {"engine": "openai", "model": card, "upstreams": f"{upstream.url}/v1"}
        with service(tokens, **fleet, **settings) as found:
            yield found


def processor_s(work: Callable[[], object]) -> float:
    """What it takes of this process's processor time."""
    before = time.process_time()
    work()
    return time.process_time() - before


def median(costs: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    """Over repeats."""
    return statistics.median(of(cost) for cost in costs)


class Edited:
    """Edits nobody has seen yet."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, size: int, format_: str, candidates: int = CANDIDATES) -> Edits:
        self._number += 1
        return make_edits(size, format_, candidates, self._number)


def pictures(edited: Edited, repeats: int) -> None:
    """The table of sizes and formats, and its bars."""
    table = Table(
        "pictures", "bare decoding", "guards off", "times", "guards on", "times", "guards add", "event loop",
        title=f"processor ms a candidate, {repeats} calls of {CANDIDATES} candidates each way",
    )  # fmt: skip
    bars: list[tuple[Bar, float]] = []
    with service(500) as up:
        up.warm_up(edited, "enforce")
        for size in SIZES:
            for format_ in FORMATS:
                progress.print(f"{size}² {format_}")
                off, on = [], []
                for _ in range(repeats):
                    edits = edited(size, format_)
                    off.append(up.cost(edits, "off"))
                    on.append(up.cost(edits, "enforce"))
                without = median(off, lambda cost: cost.service_ms / cost.floor_ms)
                guarded = median(on, lambda cost: cost.service_ms / cost.floor_ms)
                adds = (median(on, lambda c: c.service_ms) - median(off, lambda c: c.service_ms)) / CANDIDATES
                loop = median(off, lambda cost: cost.loop_ms) / CANDIDATES
                table.add_row(
                    f"{size}² {format_}",
                    f"{median(off, lambda c: c.floor_ms) / CANDIDATES:.1f}",
                    f"{median(off, lambda c: c.service_ms) / CANDIDATES:.1f}",
                    f"{without:.2f}",
                    f"{median(on, lambda c: c.service_ms) / CANDIDATES:.1f}",
                    f"{guarded:.2f}",
                    f"{adds:.1f}",
                    f"{loop:.2f}",
                )
                if size == 1024 and format_ == "PNG":
                    bars += [(PNG_BAR, without), (GUARDS_BAR, adds), (LOOP_BAR, loop)]
                if size == 1024 and format_ == "JPEG":
                    bars.append((JPEG_BAR, without))
    console.print(table)
    for bar, value in bars:
        bar.judge(value)


def tokens(edited: Edited, repeats: int) -> None:
    """What a trace's length adds. The engine's own work on its output is among the parts."""
    table = Table("tokens of a trace", "all", "event loop", title="processor ms a candidate, pictures of 64²")
    for count in TOKENS:
        with service(count) as up:
            up.score(edited(64, "PNG"), "off")
            costs = [up.cost(edited(64, "PNG", 24), "off") for _ in range(repeats)]
        cells = [median(costs, lambda c: c.service_ms) / 24, median(costs, lambda c: c.loop_ms) / 24]
        table.add_row(f"{count:,}", *(f"{value:.2f}" for value in cells))
    console.print(table)


def output(edited: Edited, repeats: int) -> None:
    """What vLLM does with a written token in this process before the service hears of it."""
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    table = Table(
        "vLLM's output handling", "ms a token", "of 500 tokens, ms", title=f"{SEQUENCES} sequences a step"
    )
    for name, way in WAYS.items():
        cost_ms = statistics.median(handling_ms(way, tokenizer) for _ in range(repeats))
        table.add_row(name, f"{cost_ms:.4f}", f"{500 * cost_ms:.1f}")
    console.print(table)


def through_a_fleet(edited: Edited, repeats: int) -> None:
    """In front of an upstream."""
    table = Table(
        "pictures", "bare decoding", "service", "times", "event loop", title="fleet mode, guards on"
    )
    with fleet(500) as up:
        up.warm_up(edited, "enforce")
        for format_ in FORMATS:
            costs = [up.cost(edited(1024, format_), "enforce") for _ in range(repeats)]
            times = median(costs, lambda cost: cost.service_ms / cost.floor_ms)
            cells = [
                median(costs, lambda c: c.floor_ms) / CANDIDATES,
                median(costs, lambda c: c.service_ms) / CANDIDATES,
            ]
            loop = median(costs, lambda c: c.loop_ms) / CANDIDATES
            table.add_row(f"1024² {format_}", *(f"{v:.1f}" for v in cells), f"{times:.2f}", f"{loop:.2f}")
            if format_ == "PNG":
                png = times
    console.print(table)
    FLEET_BAR.judge(png)


def health(edited: Edited, repeats: int) -> None:
    """The probe beside calls that arrive and decode."""
    table = Table("64 pictures of 1024²", "requests", "p50 ms", "p99 ms", "max ms", "loop late p99 ms")
    with service(500) as up:
        up.score(edited(512, "PNG"), "enforce")
        for format_ in ("PNG", "JPEG"):
            calls = [edited(1024, format_, HEALTH_PICTURES - 1) for _ in range(max(1, repeats // 2))]
            up.used(watch=True)
            with Prober(up.process.url, "/health", None, HEALTH_PAUSE_S) as prober:
                since = time.monotonic()
                for edits in calls:
                    up.score(edits, "enforce")
                took = [s.took_s for s in prober.end() if s.sent_at >= since]
            cells = [1e3 * percentile(took, share) for share in (0.5, 0.99, 1.0)]
            late = percentile(up.used(watch=True)["late_ms"], 0.99)
            table.add_row(format_, str(len(took)), *(f"{v:.1f}" for v in (*cells, late)))
            if format_ == "PNG":
                png = cells[1]
    console.print(table)
    HEALTH_BAR.judge(png)


def cores(edited: Edited, repeats: int) -> None:
    """Candidates a second with one core and with two, as far as a client beside them lets it be seen."""
    table = Table("1024² PNG, guards on", "a second", "cores it used", "client's cores", "a second and core")
    for count in (1, 2):
        with service(500) as up:
            process = psutil.Process(up.process.pid)
            process.cpu_affinity(sorted(process.cpu_affinity())[-count:])
            up.score(edited(512, "PNG"), "enforce")
            bodies = [edited(1024, "PNG").body() for _ in range(4 * repeats)]
            before, mine, started = up.used()["process_s"], time.process_time(), time.monotonic()
            asyncio.run(_all_at_once(up.process.url, bodies))
            took_s = time.monotonic() - started
            used_s, client_s = up.used()["process_s"] - before, time.process_time() - mine
            done = CANDIDATES * len(bodies)
            cells = [done / took_s, used_s / took_s, client_s / took_s, done / used_s]
            table.add_row(f"{count} core{'s'[: count - 1]}", *(f"{value:.2f}" for value in cells))
    console.print(table)


async def _all_at_once(url: str, bodies: Sequence[Body]) -> None:
    """Eight calls under way."""
    room = asyncio.Semaphore(8)

    async def call(http: httpx.AsyncClient, body: Body) -> None:
        async with room:
            (await body.send(http)).raise_for_status()

    async with httpx.AsyncClient(base_url=url, timeout=600.0) as http, asyncio.TaskGroup() as group:
        for body in bodies:
            group.create_task(call(http, body))


def parts(edited: Edited, repeats: int) -> None:
    """Each part alone, on pictures of 1024²."""
    table = Table("part", *FORMATS, title="processor ms a picture of 1024²")
    rows: dict[str, list[float]] = {}
    for format_ in FORMATS:
        edits = [edited(1024, format_) for _ in range(repeats)]
        for name, work in _PARTS.items():
            rows.setdefault(name, []).append(statistics.median(work(one) for one in edits))
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.2f}" for value in values))
    console.print(table)


def _bare(edits: Edits) -> float:
    return 1e3 * processor_s(lambda: decode_bare(edits.files)) / len(edits.files)


def _decoded(edits: Edits) -> float:
    return 1e3 * processor_s(lambda: [decode_image(data) for data in edits.files]) / len(edits.files)


def _guarded(edits: Edits) -> float:
    source, *candidates = [decode_image(data) for data in edits.files]
    guards = EditGuards(source, instruction="add a red square")
    return 1e3 * processor_s(lambda: [guards.check(one) for one in candidates]) / len(candidates)


def _parsed(edits: Edits) -> float:
    body = edits.body()

    async def parse() -> None:
        async def chunks() -> Any:
            for start in range(0, len(body.content), 2**16):
                yield body.content[start : start + 2**16]

        await read_parts(chunks(), boundary_of(body.content_type))

    return 1e3 * processor_s(lambda: asyncio.run(parse())) / len(edits.files)


_PARTS = {
    "bare decoding": _bare,
    "decoding, as the service does": _decoded,
    "guards": _guarded,
    "multipart, on the event loop": _parsed,
}
_RUNS: dict[str, Callable[[Edited, int], None]] = {
    "pictures": pictures, "tokens": tokens, "output": output, "fleet": through_a_fleet, "health": health,
    "cores": cores, "parts": parts,
}  # fmt: skip


def main(
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each kind.")] = 5,
    only: Annotated[str, typer.Option(help=f"Of {', '.join(KINDS)}, separated by commas.")] = ",".join(KINDS),
) -> None:
    """Prints what a candidate costs the service, against decoding its picture alone."""
    end_on_sigterm()
    wanted = [name.strip() for name in only.split(",")]
    unknown = [name for name in wanted if name not in _RUNS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(KINDS)}")
    edited = Edited()
    for name in wanted:
        progress.print(name)
        _RUNS[name](edited, repeats)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
