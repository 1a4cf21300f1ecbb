"""Faults under load, one after the other: is every accepted call answered, does the service let go of all?

    .venv/bin/python benchmarks/faults.py [--only NAME] [--callers 1000] [--lines 100000] [--out FILE]

The real service with the bundled model; faults that need the same settings happen to the same service.
Honest callers send groups all the while; each of their rewards is compared with what the quiet service said
before. Printed for each fault: calls asked, answered, lost, different; seconds until ready again; seconds
until no job, byte, connection, task or descriptor is held that was not before; tasks, descriptors and memory
before and after.

leave        callers that leave at random moments, a tenth of which stay
hang         the engine is stopped (SIGSTOP) under load
kill         the engine is killed under load, three times
link         every call goes through a link that delays, cuts and breaks: a TCP proxy
descriptors  600 silent connections, where the service may have 256 files open
stream       one stream of many lines, most of them refused or known, read slowly at times
disk         the disk of the spool and of the logs is full under a stream, and is freed again
end          callers that leave, a stream, the bad link, the full disk at once: reload, kill, then SIGTERM
"""

import asyncio
import itertools
import json
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rig.bad_link import BadLink
from rig.calls import Group, base64_request, make_groups, multipart
from rig.checked_load import Load, Rewards, Tally, learned
from rig.held import Held, held, let_go
from rig.leavers import Leavers
from rig.prober import Prober
from rig.processes import ServerProcess, Surroundings, end_on_sigterm, reward_server
from rig.report import Bar, console, percentile, progress, say_machine
from rig.service_faults import RELOADABLE, kill_engine, ready_again, reload, stop_engine
from rig.small_disk import SmallDisk, small_disk
from rig.streams import Stream, stream

from edit_rrm_server.settings.server import BUNDLED_MODEL

GROUPS, SIZE = 6, 4
HANG_S = 15
DESCRIPTORS, SILENT = 256, 600
DISK_MIB = 256  # an engine compiles into its temporary folder when it starts
DEATHS = 3
LEAVE_WITHIN_S = 40.0
SLOW_READER_S = 0.5
LINK_S = 60.0
SETTINGS: dict[str, object] = {"engine_hang_s": HANG_S, "engine_restart_backoff_s": 0.1, **RELOADABLE}


@dataclass
class Report:
    """What came of one fault."""

    fault: str
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    ready_after_s: list[float] = field(default_factory=list)
    let_go_s: float | None = None
    before: Held | None = None
    after: Held | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def check(self, what: str, holds: bool) -> None:
        """A promise of this fault alone."""
        if not holds:
            self.broken.append(what)

    @property
    def is_kept(self) -> bool:
        """Whether what is promised was kept."""
        free = self.before is None or (self.after is not None and self.after.is_free(self.before))
        return free and not self.tally.lost and not self.tally.different and not self.broken

    def tell(self, lines: int, found: Stream) -> None:
        """What came of a stream whose lines, so many, were to be answered."""
        once = found.answered_once(lines)
        self.check("every line is answered exactly once", once == lines)
        self.facts["stream"] = {
            "lines": lines, "answered_once": once, "took_s": round(found.took_s, 1),
            "cached": found.cached, "refused": dict(found.failures),
        }  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    callers: int
    lines: int
    seed: int

    @property
    def short_stream(self) -> int:
        """Lines of a stream that is not all there is to a fault."""
        return max(100, self.lines // 10)


@dataclass(frozen=True)
class Trial:
    """One fault and the service that it happens to."""

    server: ServerProcess
    disk: SmallDisk | None
    sizes: Sizes
    groups: list[Group]
    expected: list[Rewards]
    report: Report

    @property
    def port(self) -> int:
        """Of the service."""
        return int(self.server.url.rsplit(":", 1)[1])

    def load(self, url: str = "", *, callers: int = 4, patient: bool = True) -> Load:
        """Honest callers, whose calls the report counts."""
        return Load(
            url or self.server.url, self.groups, self.expected, self.report.tally,
            callers=callers, patient=patient, seed=self.sizes.seed,
        )  # fmt: skip

    def leavers(self, within_s: float) -> Leavers:
        """Callers that leave."""
        bodies = [multipart(group) for group in self.groups]
        return Leavers(self.server.url, bodies, self.sizes.seed, within_s)

    def line_of(self, fresh_every: int, **fields: object) -> Callable[[int], bytes]:
        """Lines of a stream: of ten six are refused, the others known, and one in `fresh_every` new.

        `fields` are added to those that are scored.
        """
        known = [{**base64_request(group), "guards": "off", **fields} for group in self.groups]
        for body in known:
            body["candidates"] = body["candidates"][:1]
        broken = {**known[0], "source": {"b64": known[0]["source"]["b64"][:40]}}
        refused = (
            "{not json}",
            "x",
            '{"instruction": ""}',
            "[1, 2]",
            json.dumps(broken),
            '{"candidates": 3}',
        )
        texts = [json.dumps(body) for body in known]

        def line(number: int) -> bytes:
            if number % fresh_every == fresh_every - 1:  # one that nobody has asked before
                fresh = {**known[number % len(known)], "instruction": f"make it {number} times as large"}
                return json.dumps(fresh).encode() + b"\n"
            place = number % 10
            text = refused[place] if place < len(refused) else texts[number % len(texts)]
            return text.encode() + b"\n"

        return line


async def leave(trial: Trial) -> None:
    """All at once, over `LEAVE_WITHIN_S`."""
    leavers = trial.leavers(LEAVE_WITHIN_S)
    async with trial.load(callers=1):
        await leavers.run(trial.sizes.callers)
    stayed = {what for what in leavers.came_to if not what.startswith("left")}
    trial.report.facts["callers"] = dict(leavers.came_to)
    trial.report.check("who stayed is answered", stayed <= {"answered 200", "answered 429"})


async def many_lines(trial: Trial) -> None:
    """Read slowly at times: for half a second after every thousandth answer or so."""
    dice = random.Random(trial.sizes.seed)
    lines = trial.sizes.lines

    def pause_s(_: int) -> float:
        return SLOW_READER_S if dice.random() < 0.001 else 0.0

    async with trial.load(callers=1):
        trial.report.tell(lines, await stream(trial.server.url, trial.line_of(1000), lines, pause_s))


async def few_descriptors(trial: Trial) -> None:
    """Probes are answered, and honest callers, while silent connections take all there are."""
    with ExitStack() as connections, Prober(trial.server.url, "/health", None, 0.05) as prober:
        async with trial.load():
            for _ in range(SILENT):
                connections.enter_context(socket.create_connection(("127.0.0.1", trial.port), timeout=30.0))
                await asyncio.sleep(0.02)
            await asyncio.sleep(10.0)
        probes = await asyncio.to_thread(prober.end)
    trial.report.check("probes are answered", bool(probes) and all(probe.status == 200 for probe in probes))
    trial.report.facts |= {
        "probes": len(probes),
        "probe_p99_s": round(percentile([probe.took_s for probe in probes], 0.99), 3),
        "log_bytes": len(trial.server.log),
    }


async def hang(trial: Trial) -> None:
    """Noticed after `HANG_S`."""
    async with trial.load():
        await asyncio.sleep(3.0)
        started = time.monotonic()
        await stop_engine(trial.server)
        trial.report.facts["noticed_after_s"] = round(time.monotonic() - started, 1)
        trial.report.ready_after_s.append(await ready_again(trial.server.url))


async def kill(trial: Trial) -> None:
    """Some times over."""
    async with trial.load():
        for _ in range(DEATHS):
            await asyncio.sleep(3.0)
            await kill_engine(trial.server)
            trial.report.ready_after_s.append(await ready_again(trial.server.url))


async def full_disk(trial: Trial) -> None:
    """A stream whose reader pauses for long after its first answer, while nothing more can be written."""
    disk, lines = trial.disk, trial.sizes.short_stream
    assert disk is not None

    def pause_s(number: int) -> float:
        return 20.0 if number == 1 else 0.0

    async with trial.load(callers=1):
        disk.fill()
        large = trial.line_of(1000, include=["tokens", "reasoning"])  # more than sockets hold
        running = asyncio.create_task(stream(trial.server.url, large, lines, pause_s))
        await asyncio.sleep(15.0)
        trial.report.facts["held_bytes_while_full"] = (await held(trial.server)).held_bytes
        await asyncio.sleep(15.0)
        logged = len(trial.server.lines)
        disk.free()
        trial.report.tell(lines, await running)
        await asyncio.sleep(5.0)
    trial.report.check("the log goes on once there is room", len(trial.server.lines) > logged)


async def bad_link(trial: Trial) -> None:
    """A minute of calls, sent again where the link broke."""
    async with BadLink(trial.port, trial.sizes.seed) as link:
        async with trial.load(link.url, callers=6):
            await asyncio.sleep(LINK_S)
        repeated = sum('"repeated":true' in line for line in trial.server.lines)
        trial.report.facts |= {
            "link": "TCP proxy", "connections": link.connections, "breaks": link.broken,
            "answers_repeated": repeated,
        }  # fmt: skip


async def end(trial: Trial) -> None:
    """Everything at once; what comes after SIGTERM is refused, what was accepted before is answered."""
    server, disk, report, lines = trial.server, trial.disk, trial.report, trial.sizes.short_stream
    assert disk is not None
    leavers = trial.leavers(2 * LEAVE_WITHIN_S)
    async with BadLink(trial.port, trial.sizes.seed) as link, asyncio.TaskGroup() as others:
        others.create_task(leavers.run(trial.sizes.callers // 4))
        lined = others.create_task(stream(server.url, trial.line_of(50), lines, lambda _: 0.01))
        async with trial.load(link.url, callers=2), trial.load(callers=2):
            await asyncio.sleep(3.0)
            disk.fill()
            report.facts["reload_on_a_full_disk"] = await reload(server)
            report.ready_after_s.append(await ready_again(server.url))
            disk.free()
            await asyncio.sleep(3.0)
            await kill_engine(server)
            report.ready_after_s.append(await ready_again(server.url))
            disk.fill()
        async with trial.load(patient=False):
            await asyncio.sleep(3.0)
            started = time.monotonic()
            status = await asyncio.to_thread(server.end, 180.0)
            report.facts["ended_after_s"] = round(time.monotonic() - started, 1)
    await asyncio.sleep(5.0)
    report.check("the status is 0", status == 0)
    report.check("no process is left", not server.left())
    found = lined.result()
    report.tell(lines if found.unread is None else found.unread, found)
    report.facts |= {
        "callers": dict(leavers.came_to), "link": "TCP proxy",
        "refused_at_the_end": report.tally.refused,
    }  # fmt: skip


@dataclass(frozen=True)
class Needs:
    """Which service a fault happens to."""

    cache_mib: float = 0.0
    prefix: tuple[str, ...] = ()
    small_disk: bool = False


@dataclass(frozen=True)
class Fault:
    """What is done, and to which service; the last of its service may end it."""

    act: Callable[[Trial], Awaitable[None]]
    needs: Needs
    ends: bool = False


PLAIN, CACHED = Needs(), Needs(cache_mib=64.0, small_disk=True)
FEW_FILES = Needs(prefix=("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"))
FAULTS = {
    "leave": Fault(leave, PLAIN),
    "hang": Fault(hang, PLAIN),
    "kill": Fault(kill, PLAIN),
    "link": Fault(bad_link, PLAIN),
    "descriptors": Fault(few_descriptors, FEW_FILES),
    "stream": Fault(many_lines, CACHED),
    "disk": Fault(full_disk, CACHED),
    "end": Fault(end, CACHED, ends=True),
}


@contextmanager
def started(needs: Needs) -> Iterator[tuple[ServerProcess, SmallDisk | None]]:
    """Such a service, ready."""
    settings = {**SETTINGS, "score_cache_mib": needs.cache_mib}
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(DISK_MIB)) if needs.small_disk else None
        where = Surroundings(needs.prefix)
        if disk is not None:
            where = Surroundings(needs.prefix, {"TMPDIR": str(disk.directory)}, disk.directory)
        yield stack.enter_context(reward_server(BUNDLED_MODEL, where, **settings)), disk


async def tried(name: str, server: ServerProcess, disk: SmallDisk | None, sizes: Sizes) -> Report:
    """One fault, from the quiet service to the quiet service."""
    fault, report = FAULTS[name], Report(name)
    groups = make_groups(GROUPS, SIZE)
    trial = Trial(server, disk, sizes, groups, await learned(server.url, groups), report)
    report.before = None if fault.ends else await held(server)
    begun = time.monotonic()
    await fault.act(trial)
    report.seconds = time.monotonic() - begun
    if report.before is not None:
        report.after, report.let_go_s = await let_go(server, report.before)
    return report


def show(reports: list[Report]) -> None:
    """The table, and what each fault has to say besides."""
    columns = ("fault", "s", "asked", "answered", "lost", "wrong", "no reward", "ready again s", "let go s")
    table = Table(*columns, "tasks", "files", "MiB", "kept")
    for report in reports:
        tally, before, after = report.tally, report.before, report.after
        pairs = ["", "", ""]
        if before is not None and after is not None:
            pairs = [
                f"{before.tasks} → {after.tasks}",
                f"{before.descriptors} → {after.descriptors}",
                f"{before.server_mib:.0f} → {after.server_mib:.0f}",
            ]
        counts = (tally.asked, tally.answered, tally.lost, tally.different, tally.failed)
        table.add_row(
            report.fault,
            f"{report.seconds:.0f}",
            *(str(count) for count in counts),
            ", ".join(f"{s:.1f}" for s in report.ready_after_s),
            "" if report.let_go_s is None else f"{report.let_go_s:.1f}",
            *pairs,
            "yes" if report.is_kept else "NO",
        )
    console.print(table)
    for report in reports:
        said = {**report.facts, **({"broken": report.broken} if report.broken else {})}
        console.print(report.fault, json.dumps(said), markup=False)
        for example in itertools.islice(report.tally.examples, 5):
            console.print(f"  {example}", markup=False)


def write(out: Path, reports: list[Report], sizes: Sizes) -> None:
    """The figures as JSON."""
    faults = [{**asdict(report), "kept": report.is_kept} for report in reports]
    out.write_text(json.dumps({**asdict(sizes), "faults": faults}, indent=1) + "\n", encoding="utf-8")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(FAULTS)}; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Of every moment, fate and choice.")] = 0,
    callers: Annotated[int, typer.Option(min=4, help="Callers that leave.")] = 1000,
    lines: Annotated[int, typer.Option(min=100, help="Lines of a stream; elsewhere a tenth.")] = 100_000,
    out: Annotated[Path | None, typer.Option(help="Where the figures go, as JSON.")] = None,
) -> None:
    """Faults under load: is every accepted call answered, does the service let go of all?

    Callers that leave, an engine stopped and killed, a link that breaks, few descriptors, long streams, full
    disks, and all at once at SIGTERM; what each does stands at the head of this file.
    """
    end_on_sigterm()
    say_machine()
    chosen = only or list(FAULTS)
    if unknown := set(chosen) - set(FAULTS):
        raise typer.BadParameter(f"no fault is named {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    reports: list[Report] = []
    sizes = Sizes(callers, lines, seed)
    for needs, names in itertools.groupby(
        (name for name in FAULTS if name in chosen), key=lambda name: FAULTS[name].needs
    ):
        progress.print("starting a service")
        with started(needs) as (server, disk):
            for name in names:
                progress.print(f"{name}: begins")
                reports.append(asyncio.run(tried(name, server, disk, sizes)))
                progress.print(f"{name}: {'kept' if reports[-1].is_kept else 'NOT KEPT'}", reports[-1])
                if out is not None:  # what is known so far, should a later one not end
                    write(out, reports, sizes)
    show(reports)
    Bar("faults whose promises were not kept", 0, at_least=False).judge(sum(not r.is_kept for r in reports))


if __name__ == "__main__":
    typer.run(main)
