"""A few hundred requests made from the OpenAPI document, right and wrong, over a real socket: every answer is
one that the document knows. benchmarks/contract.py sends thousands to the real engine.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from live_service import LiveService
from scripted_engine import ScriptedEngine

from edit_rrm_server.api.description import whole_api

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CASES = 16
CHAINS = 14


@pytest.fixture(autouse=True)
def _rig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.mark.slow
def test_every_answer_is_one_that_the_document_knows() -> None:
    from rig.contract_cases import Outcome, operations, send_cases

    outcomes: list[Outcome] = []
    with LiveService(ScriptedEngine(), dialects="flow_factory,unirl") as live:
        for operation in operations(whole_api()):
            for right in (True, False):
                send_cases(operation, live.url, CASES, 7, outcomes.append, right=right)
    assert [outcome for outcome in outcomes if outcome.faults] == []
    statuses = Counter(outcome.status for outcome in outcomes)
    assert max(statuses) < 500, statuses
    assert statuses.total() >= 5 * 2 * CASES
    scored = [outcome.code for outcome in outcomes if outcome.operation == "POST /v1/score" and outcome.right]
    assert scored.count("ok") >= CASES // 4


@pytest.mark.slow
def test_what_an_answer_gives_is_what_the_next_request_takes() -> None:
    """Chains along the document's links: a listed model's id, and a decomposition's principles."""
    from rig.contract_cases import Outcome
    from rig.contract_links import START, follow_links

    followed: dict[str, list[Outcome]] = defaultdict(list)
    with LiveService(ScriptedEngine()) as live:
        follow_links(whole_api(), live.url, CHAINS, 7, lambda link, outcome: followed[link].append(outcome))
    assert [outcome for found in followed.values() for outcome in found if outcome.faults] == []
    assert set(followed) == {
        START,
        "GET /v1/models -> [200] scoreWithModel -> POST /v1/score",
        "GET /v1/models -> [200] streamWithModel -> POST /v1/score/stream",
        "GET /v1/models -> [200] decomposeWithModel -> POST /v1/decompose",
        "POST /v1/decompose -> [200] scoreByPrinciples -> POST /v1/score",
        "POST /v1/decompose -> [200] streamByPrinciples -> POST /v1/score/stream",
    }
    for link, found in followed.items():
        codes = [outcome.code for outcome in found]
        assert "unknown_model" not in codes, link  # the id that is listed is the one that is taken
        assert "ok" in codes, link


def test_where_keys_are_set_their_absence_is_an_answer_that_the_document_knows() -> None:
    from rig.contract_cases import Outcome, operations, send_cases

    outcomes: list[Outcome] = []
    with LiveService(ScriptedEngine(), api_keys="right", metrics_need_key=True) as live:
        for operation in operations(whole_api()):
            if operation.path.startswith(("/v1/", "/health", "/ready", "/metrics")):
                send_cases(operation, live.url, 1, 7, outcomes.append, right=True)
    assert {outcome.operation: (outcome.status, outcome.faults) for outcome in outcomes} == {
        "GET /health": (200, ()),
        "GET /ready": (200, ()),
        **dict.fromkeys(("GET /metrics", "GET /v1/models"), (401, ())),
        **dict.fromkeys(("POST /v1/score", "POST /v1/score/stream", "POST /v1/decompose"), (401, ())),
    }


def test_an_answer_that_the_document_does_not_know_is_told() -> None:
    from rig.contract_cases import Outcome, operations, send_cases

    document = whole_api()
    document["paths"] = {"/v1/decompose": document["paths"]["/v1/decompose"]}
    del document["paths"]["/v1/decompose"]["post"]["responses"]["422"]
    (operation,) = operations(document)
    outcomes: list[Outcome] = []
    with LiveService(ScriptedEngine()) as live:
        send_cases(operation, live.url, 8, 7, outcomes.append, right=False)
    told = [outcome.faults for outcome in outcomes if outcome.status == 422]
    assert told
    assert all("UndefinedStatusCode" in faults[0] for faults in told)
