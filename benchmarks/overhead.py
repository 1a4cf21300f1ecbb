"""What does everything around the engine add to a single call when nothing else runs?

    .venv/bin/python benchmarks/overhead.py [--calls 100]

Single-candidate calls one after the other over a kept connection, every image new, principles given. A
call's total is its caller's: from the first byte sent to the answer read. Its engine time is the
answer's `verify_s`: from the prompt handed to vLLM to the parsed trace, with vLLM's own tokenising and
image preprocessing. vLLM's own clock (`vllm:e2e_request_latency_seconds`) is shown beside it. Bar: the
median of total / engine time is at most 1.05.
"""

import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.table import Table
from rig.calls import Body, make_groups, multipart
from rig.processes import end_on_sigterm, reward_server
from rig.report import Bar, console, percentile, progress, say_machine

from edit_rrm_server.settings.server import BUNDLED_MODEL

BAR = Bar("a call's total against its engine time, median", 1.05, at_least=False)
WARM_UP_CALLS = 5
_VLLM_SUM = re.compile(r"^vllm:e2e_request_latency_seconds_sum(?:\{.*\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Call:
    """The parts of one call in seconds, each within the one before."""

    caller_s: float
    service_s: float
    engine_s: float


def ask(http: httpx.Client, body: Body) -> Call | None:
    """One call; None when its trace did not parse, since an error tells no times."""
    started = time.perf_counter()
    answer = http.post("/v1/score", content=body.content, headers={"Content-Type": body.content_type})
    caller_s = time.perf_counter() - started
    if answer.status_code == 502:
        return None
    if answer.status_code != 200:
        raise RuntimeError(f"a call failed: {answer.status_code} {answer.text[:300]}")
    timing = answer.json()["timing"]
    return Call(caller_s, timing["total_s"], timing["verify_s"])


def vllm_seconds(http: httpx.Client) -> float:
    """Sum over all requests of what vLLM's own clock says."""
    return sum(float(value) for value in _VLLM_SUM.findall(http.get("/metrics").text))


def show(calls: list[Call], unparsed: int, vllm_s: float) -> None:
    """The table and the bar. `vllm_s` is the mean over all calls, unparsed ones too."""
    table = Table("", "median ms", "mean ms", "p95 ms", title=f"{len(calls)} calls, one at a time")
    for name, values in (
        ("total, the caller's clock", [call.caller_s for call in calls]),
        ("total, the service's clock (total_s)", [call.service_s for call in calls]),
        ("engine time (verify_s)", [call.engine_s for call in calls]),
        ("total less engine time", [call.caller_s - call.engine_s for call in calls]),
    ):
        cells = [statistics.median(values), statistics.fmean(values), percentile(values, 0.95)]
        table.add_row(name, *(f"{1e3 * value:.1f}" for value in cells))
    table.add_row("vLLM's own clock", "", f"{1e3 * vllm_s:.1f}", "")
    console.print(table)
    console.print(f"{unparsed} further calls had traces that did not parse and are left out")
    BAR.judge(statistics.median(call.caller_s / call.engine_s for call in calls))


def main(
    calls: Annotated[int, typer.Option(help="Calls, one at a time.")] = 100,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints where a single call's time goes at idle. Bar: total at most 1.05 times the engine time."""
    end_on_sigterm()
    progress.print(f"rendering {calls} edits")
    bodies = [multipart(group) for group in make_groups(WARM_UP_CALLS + calls, 1)]
    with (
        reward_server(model, retries=0, score_cache_mib=0) as server,
        httpx.Client(base_url=server.url, timeout=600.0) as http,
    ):
        for body in bodies[:WARM_UP_CALLS]:
            ask(http, body)
        before_s = vllm_seconds(http)
        found = [ask(http, body) for body in bodies[WARM_UP_CALLS:]]
        vllm_s = (vllm_seconds(http) - before_s) / calls
    measured = [call for call in found if call is not None]
    if not measured:
        raise RuntimeError("no trace parsed: this checkpoint cannot be measured here")
    show(measured, len(found) - len(measured), vllm_s)
    say_machine()


if __name__ == "__main__":
    typer.run(main)
