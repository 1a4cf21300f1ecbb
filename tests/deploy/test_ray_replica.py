"""A replica as Ray sees it, and the options of its deployment; no Ray here."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from deployment_options import DeploymentOptions
from pydantic import ValidationError
from replica import REPLICA_HEADER, Replica, UnhealthyError
from replica_metrics import MetricsServer, TargetList
from running_service import CARD
from scripted_engine import ScriptedEngine
from small_calls import score_body

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.vllm.engine import _SHUTDOWN_S as ENGINE_END_S
from edit_rrm_server.settings.server import ServerSettings

DIGEST = "0123456789ab"
SERVE_YAML = Path(__file__).resolve().parents[2] / "deploy" / "ray" / "serve.yaml"


def replica(engine: ScriptedEngine | None = None, weights_digest: str | None = None) -> Replica:
    async def load(_: Path) -> LoadedModel:
        if engine is None:
            raise CheckpointError("nothing there")
        return LoadedModel(engine, CARD, DIGEST, "Qwen2_5_VLForConditionalGeneration", 2048)

    return Replica("replica-1", ServerSettings(engine_restart_limit=0), load, weights_digest)


async def test_a_replica_that_loaded_is_healthy_and_names_itself_in_every_answer() -> None:
    running = replica(ScriptedEngine(), DIGEST)
    app = running.app()
    async with app.router.lifespan_context(app):
        await running.check_health()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://replica") as http:
            scored = await http.post("/v1/score", json=score_body())
            refused = await http.post("/v1/score", content=b"{", headers={"content-type": "application/json"})
    assert (scored.status_code, refused.status_code) == (200, 400)
    assert scored.headers[REPLICA_HEADER] == refused.headers[REPLICA_HEADER] == "replica-1"


async def test_a_replica_whose_engine_died_is_unhealthy() -> None:
    engine = ScriptedEngine()
    running = replica(engine)
    app = running.app()
    async with app.router.lifespan_context(app):
        await running.check_health()
        engine.alive = False
        with pytest.raises(UnhealthyError):
            await running.check_health()


async def test_other_weights_than_meant_never_become_healthy() -> None:
    running = replica(ScriptedEngine(), "ffffffffffff")
    app = running.app()
    async with app.router.lifespan_context(app):
        with pytest.raises(
            UnhealthyError, match=f"expected weights ffffffffffff, the checkpoint is {DIGEST}"
        ):
            await running.check_health()


async def test_a_checkpoint_that_cannot_be_loaded_is_reported_and_not_waited_for() -> None:
    running = replica(engine=None)
    app = running.app()
    async with app.router.lifespan_context(app):
        with pytest.raises(UnhealthyError, match="nothing there"):
            await running.check_health()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"settings": {"windoww": 3, "allow_open": True}}, "windoww"),
        ({"settings": {"port": 1, "allow_open": True}}, "port"),
        ({"settings": {"metrics_need_key": True, "api_keys": "k"}}, "metrics_need_key"),
        ({"settings": {"engine_restart_limit": 5, "allow_open": True}}, "engine_restart_limit"),
        ({"settings": {}}, "no key is set"),  # Ray's proxy is an open address
        ({"settings": {"allow_open": True}, "weights_digest": "latest"}, "weights_digest"),
        ({"settings": {"allow_open": True}, "replicas": 2}, "replicas"),
    ],
)
def test_options_that_mean_nothing_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        DeploymentOptions(**arguments)


def test_ray_gives_a_replica_the_time_to_drain_and_to_end() -> None:
    options = DeploymentOptions(settings={"allow_open": True, "drain_timeout_s": 90})
    assert options.serve_options()["graceful_shutdown_timeout_s"] >= 90 + ENGINE_END_S


def test_a_dead_engine_ends_the_service_so_that_ray_replaces_the_replica() -> None:
    assert DeploymentOptions(settings={"allow_open": True}).server_settings().engine_restart_limit == 0


def test_serve_yaml_holds_options_that_are_accepted(tmp_path: Path) -> None:
    (application,) = yaml.safe_load(SERVE_YAML.read_text())["applications"]
    assert application["import_path"] == "reward_app:build"
    arguments = application["args"]
    keys = tmp_path / "keys"
    keys.write_text("k")
    arguments["settings"]["api_keys_file"] = keys
    assert DeploymentOptions(**arguments).serve_options()["autoscaling_config"]["max_replicas"] == 8


def test_prometheus_is_told_of_replicas_that_spoke_within_half_a_minute() -> None:
    now_s = 0.0
    targets = TargetList(clock=lambda: now_s)
    targets.seen("b", "10.0.0.2:7000")
    targets.seen("a", "10.0.0.1:7000")
    now_s = 29.0
    targets.seen("a", "10.0.0.1:7001")
    assert targets.targets() == [
        {"targets": ["10.0.0.1:7001"], "labels": {"replica": "a"}},
        {"targets": ["10.0.0.2:7000"], "labels": {"replica": "b"}},
    ]
    now_s = 31.0
    assert targets.targets() == [{"targets": ["10.0.0.1:7001"], "labels": {"replica": "a"}}]


def test_a_replica_answers_metrics_on_a_port_of_its_own() -> None:
    server = MetricsServer("127.0.0.1", lambda: b"edit_rrm_engine_up 1.0\n")
    try:
        answer = httpx.get(f"http://{server.address}/metrics")
        assert (answer.status_code, answer.text) == (200, "edit_rrm_engine_up 1.0\n")
        assert answer.headers["content-type"].startswith("text/plain")
        assert httpx.get(f"http://{server.address}/").status_code == 404
    finally:
        server.stop()
