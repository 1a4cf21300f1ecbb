"""Nothing of a caller's stands in a log: no key, picture, instruction or question, whatever goes wrong."""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from running_service import Running, Start
from scripted_engine import Asked, ScriptedEngine, well_behaved
from small_calls import BLUE, RED, b64, score_body

KEY, ADMIN = "k3y-of-the-caller", "k3y-of-the-operator"
INSTRUCTION = "paint the marigold ultramarine"
QUESTION = "is the periwinkle untouched?"
PICTURE = base64.b64encode(BLUE).decode()[40:80]


async def everything(running: Running) -> list[int]:
    """Calls of every kind, right and wrong ones; their statuses."""
    http, bearer = running.http, {"Authorization": f"Bearer {KEY}"}
    principles = [{"id": "p1", "category": "follow", "question": QUESTION}]
    good: dict[str, Any] = score_body(instruction=INSTRUCTION, candidates=[b64(BLUE)], principles=principles)
    statuses = []
    for body in (
        good,
        {**good, "samples": 0},
        {**good, "candidates": [b64(BLUE[:-9])]},
        {**good, "candidates": [{"b64": "*" + PICTURE}]},
        {**good, INSTRUCTION.replace(" ", "_"): 1},
        {**good, "model": INSTRUCTION},
        {**good, "instruction": f"{INSTRUCTION} defectively"},
        {**good, "instruction": f"{INSTRUCTION} unreadably"},
    ):
        statuses.append((await http.post("/v1/score", json=body, headers=bearer)).status_code)
        lines = json.dumps({**body, "key": 1})
        stream = {**bearer, "content-type": "application/x-ndjson"}
        statuses.append((await http.post("/v1/score/stream", content=lines, headers=stream)).status_code)
    malformed = {**bearer, "content-type": "application/json"}
    statuses.append(
        (await http.post("/v1/score", content=json.dumps(good)[:-5], headers=malformed)).status_code
    )
    parts = {"request": json.dumps(good).encode(), INSTRUCTION: RED}
    statuses.append((await http.post("/v1/score", files=parts, headers=bearer)).status_code)
    statuses.append((await http.post("/v1/decompose", json=good, headers=bearer)).status_code)
    for key in (f"{KEY}x", ADMIN):
        answer = await http.post("/v1/score", json=good, headers={"Authorization": f"Bearer {key}"})
        statuses.append(answer.status_code)
    reload = {"Authorization": f"Bearer {ADMIN}"}
    statuses.append(
        (await http.post("/v1/admin/reload", json={"path": INSTRUCTION}, headers=reload)).status_code
    )
    return statuses


async def test_no_log_has_anything_of_a_caller_s(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def script(asked: Asked) -> str:
        if "defectively" in asked.text:
            raise KeyError(asked.text)
        return asked.text if "unreadably" in asked.text else well_behaved(asked)

    running = await start(
        engine=ScriptedEngine(script), api_keys=[KEY], admin_api_keys=[ADMIN], reload_root=tmp_path
    )
    with caplog.at_level(logging.DEBUG):
        statuses = await everything(running)
    assert {200, 400, 403, 404, 422, 500, 502} <= set(statuses)
    printed = capfd.readouterr()
    told = caplog.text + printed.out + printed.err
    assert '"event":"request"' in told
    for secret in (KEY, ADMIN, "marigold", "periwinkle", PICTURE):
        assert secret not in told
