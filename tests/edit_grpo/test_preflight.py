"""The check before a run: what makes a service fit for training, and what does not."""

from typing import Any

import httpx
import pytest
from PIL import ImageChops
from typer.testing import CliRunner, Result

from edit_grpo.cli import app as cli
from edit_grpo.reward.preflight import synthetic_group
from edit_rrm_client import RetryPolicy, RewardClient

MODEL = {
    "name": "tiny",
    "weights_digest": "0123456789ab",
    "architecture": "A",
    "profile": "trained",
    "trace_format": "1",
    "categories": ["follow"],
    "sampling": {},
    "aggregator": "model_score",
    "limits": {},
    "judges": "Judges shapes and nothing else.",
}
VERDICT = {"principle": "p1", "met": False, "probability": 0.1, "evidence": "red/blue differs"}
FAILED = {"status": "error", "error": {"code": "trace_unparseable", "detail": "no score"}, "reward": None}
NO_EDIT = {"name": "no_edit", "triggered": True, "value": 0.0}


def scored(reward: float, **changes: Any) -> dict[str, Any]:
    base = {"status": "ok", "reward": reward, "score": reward * 10, "average": 0.0, "verdicts": [VERDICT]}
    return {**base, **changes}


GUARDED = scored(0.0, average=None, verdicts=[], guards=[NO_EDIT])
HEALTHY = [scored(0.9), GUARDED, scored(0.0), scored(0.3)]


def preflight(
    monkeypatch: pytest.MonkeyPatch,
    results: list[dict[str, Any]],
    *,
    ready: int = 200,
    score: int = 200,
    scored_by: str = "tiny@0123456789ab",
) -> Result:
    def answer(request: httpx.Request) -> httpx.Response:
        def body(status: int, content: dict[str, Any]) -> httpx.Response:
            if status == 200:
                return httpx.Response(200, json=content)
            problem = {"type": "t", "title": "T", "status": status, "detail": "because", "instance": "i"}
            return httpx.Response(status, json={**problem, "code": "loading"})

        if request.url.path == "/ready":
            return body(ready, {})
        if request.url.path == "/v1/models":
            return body(200, {"models": [MODEL]})
        principles = [{"id": "p1", "question": "Is it blue?", "category": "follow", "weight": 1.0}]
        content = {"id": "r", "model": scored_by, "principles": principles, "principles_from": "model"}
        return body(score, {**content, "results": results})

    def connect(url: str, api_key: str | None) -> RewardClient:
        http = httpx.Client(transport=httpx.MockTransport(answer))
        return RewardClient(url, api_key=api_key, retries=RetryPolicy(attempts=1), http_client=http)

    monkeypatch.setattr(cli, "connect", connect)
    monkeypatch.setenv("COLUMNS", "120")
    return CliRunner().invoke(cli.app, ["preflight", "--group-size", str(max(4, len(results)))])


def test_a_healthy_service_is_fit_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    result = preflight(monkeypatch, HEALTHY)
    assert result.exit_code == 0
    for words in (
        "tiny@0123456789ab",
        "model_score",
        "4 candidates in",
        "4 of 4 have a reward (0.000 to 0.900)",
        "std 0.374 over 3 candidates that the model judged, 1 left to guards",
        "Judges shapes and nothing else.",
        "\nfit for a run",
    ):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([scored(0.9), FAILED, scored(0.1), scored(0.3)], "3 of 4 have a reward"),
        (
            [scored(0.9), scored(0.0, verdicts=[]), scored(0.1), scored(0.3)],
            "1 rewards of 0 come without verdicts",
        ),
        ([scored(0.5), GUARDED, scored(0.5), scored(0.5)], "a group without variance teaches nothing"),
        ([GUARDED] * 4, "a group without variance teaches nothing"),
        ([FAILED] * 4, "0 of 4 have a reward (none)"),
    ],
)
def test_what_would_spoil_a_run_makes_it_not_fit(
    monkeypatch: pytest.MonkeyPatch, results: list[dict[str, Any]], words: str
) -> None:
    result = preflight(monkeypatch, results)
    assert result.exit_code == 1
    assert words in " ".join(result.stdout.split())
    assert "NOT fit for a run" in result.stdout


def test_a_replica_with_other_weights_makes_it_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    result = preflight(monkeypatch, HEALTHY, scored_by="tiny@ffffffffffff")
    assert result.exit_code == 1
    assert "scored by tiny@ffffffffffff, but /v1/models lists tiny@0123456789ab" in result.stdout


def test_a_service_that_is_not_ready_or_fails_the_group_is_one_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for result in (preflight(monkeypatch, HEALTHY, ready=503), preflight(monkeypatch, HEALTHY, score=504)):
        assert result.exit_code == 1
        assert result.stderr.startswith("edit-grpo: ")
        assert len(result.stderr.splitlines()) == 1


def test_the_synthetic_group_holds_the_edit_none_and_distinct_wrong_ones() -> None:
    source, candidates = synthetic_group(24)
    assert len(candidates) == 24
    assert ImageChops.difference(source, candidates[1]).getbbox() is None
    assert len({candidate.tobytes() for candidate in candidates}) == 24
    with pytest.raises(ValueError, match="got 3"):
        synthetic_group(3)
