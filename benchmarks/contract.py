"""Is every answer of the real service one that its OpenAPI document knows?

    .venv/bin/python benchmarks/contract.py [--requests 20000] [--limit-s 3600]

Requests are made from the document itself (rig/contract_cases.py), half of them right and half wrong, for
every route but the administration's, dialects included, and sent to a real server with the real engine.
Counted by status and code. Bar: no fault, that is no status, media type, header, field or code that the
document does not have, no wrong request that is scored, and no 500.
"""

import itertools
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table
from rig.contract_cases import Outcome, operations, send_cases
from rig.processes import end_on_sigterm, reward_server
from rig.report import Bar, console, progress, say_machine

from edit_rrm_server.api.description import whole_api
from edit_rrm_server.settings.server import BUNDLED_MODEL

FAULTS_BAR = Bar("answers that the document does not know", 0, at_least=False)
DEFECTS_BAR = Bar("answers 500", 0, at_least=False)
BATCH = 100
SHOWN_FAULTS = 20


def main(
    requests: Annotated[int, typer.Option(help="Requests to send.")] = 2000,
    limit_s: Annotated[float, typer.Option(help="Ends after this time, however many were sent.")] = 3600.0,
    seed: Annotated[int, typer.Option(help="Of the requests.")] = 1,
    model: Annotated[Path, typer.Option(help="Checkpoint.")] = BUNDLED_MODEL,
) -> None:
    """Prints how many answers there were of each status and code, and every fault. Bars: none, and no 500."""
    end_on_sigterm()
    outcomes: list[Outcome] = []
    taking_a_body = [operation for operation in operations(whole_api()) if operation.body]
    without = [operation for operation in operations(whole_api()) if not operation.body]
    until = time.monotonic() + limit_s
    dialects = {"dialects": "flow_factory,unirl", "default_deadline_s": 5}
    with reward_server(model, **dialects) as server, Progress(console=progress) as shown:
        task = shown.add_task("requests", total=requests)

        def tell(outcome: Outcome) -> None:
            outcomes.append(outcome)
            shown.advance(task)

        for operation in without:
            send_cases(operation, server.url, 1, seed, tell, right=True)
        kinds = itertools.cycle(
            [(operation, right) for operation in taking_a_body for right in (True, False)]
        )
        for number, (operation, right) in enumerate(kinds, start=seed):
            left = requests - len(outcomes)
            if left <= 0 or time.monotonic() > until:
                break
            send_cases(operation, server.url, min(BATCH, left), number, tell, right=right)

    table = Table("operation", "requests", "status", "code", "answers")
    counted = Counter((o.operation, o.right, o.status, o.code) for o in outcomes)
    for (name, right, status, code), count in sorted(counted.items()):
        table.add_row(name, "right" if right else "wrong", str(status), code, str(count))
    console.print(table)
    faults = Counter((o.operation, fault) for o in outcomes for fault in o.faults)
    for (name, fault), count in faults.most_common(SHOWN_FAULTS):
        console.print(f"{count} x {name}: {fault}", markup=False)
    console.print(f"{len(outcomes)} requests")
    FAULTS_BAR.judge(sum(bool(outcome.faults) for outcome in outcomes))
    DEFECTS_BAR.judge(sum(outcome.status == 500 for outcome in outcomes))
    say_machine()


if __name__ == "__main__":
    typer.run(main)
