"""Meeting a fleet: its model, its card, what identifies the weights. And the service in front of one."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_service import Start, until
from scripted_fleet import Asked, ScriptedFleet, chat_answer, well

from edit_rrm.checkpoint import read_card
from edit_rrm.errors import CheckpointError
from edit_rrm.proxies import open_http
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.engines.openai import start as start_module
from edit_rrm_server.engines.openai.start import fleet_digest, load_openai_model, meant_model
from edit_rrm_server.engines.openai.upstreams import ReportedModel
from edit_rrm_server.engines.weights_digest import weights_digest
from edit_rrm_server.errors import UnavailableError
from edit_rrm_server.life.service import Service
from edit_rrm_server.settings.server import BUNDLED_MODEL, ServerSettings

JUDGE, OTHER = ReportedModel("judge", 2048), ReportedModel("other")
CARD = read_card(BUNDLED_MODEL)


def test_the_only_model_is_meant_unless_another_is_asked_for() -> None:
    assert meant_model([JUDGE], None) == JUDGE
    assert meant_model([JUDGE, OTHER], "other") == OTHER


@pytest.mark.parametrize(
    ("reported", "wanted", "said"),
    [
        ([JUDGE, OTHER], None, "serves 'judge', 'other': set upstream_model"),
        ([JUDGE], "runs/gcop", "serves 'judge': not 'runs/gcop'"),
        ([], None, "no model"),
    ],
)
def test_a_model_that_is_not_clear_is_refused_by_naming_those_there_are(
    reported: list[ReportedModel], wanted: str | None, said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        meant_model(reported, wanted)


def test_the_digest_is_that_of_the_local_weights_where_there_are_any() -> None:
    assert fleet_digest(BUNDLED_MODEL, CARD, "judge") == (weights_digest(BUNDLED_MODEL), True)


def test_else_it_names_card_and_model_id_and_says_so(tmp_path: Path) -> None:
    shutil.copy(BUNDLED_MODEL / "rrm.json", tmp_path)
    digest, of_weights = fleet_digest(tmp_path, CARD, "judge")
    assert (len(digest), of_weights) == (12, False)
    assert fleet_digest(None, CARD, "judge") == (digest, False)
    assert fleet_digest(None, CARD, "judge-2")[0] != digest
    assert fleet_digest(None, CARD.model_copy(update={"profile": "zero_shot"}), "judge")[0] != digest


@pytest.fixture
def fleet() -> ScriptedFleet:
    """A fleet of two."""
    return ScriptedFleet(a=well, b=well)


async def load(fleet: ScriptedFleet, steps: list[str] | None = None, **changes: Any) -> LoadedModel:
    """What the service loads from the fleet."""
    chosen = ServerSettings(engine="openai", upstreams="http://a/v1,http://b/v1", **changes)
    progress = (lambda _: None) if steps is None else steps.append
    return await load_openai_model(chosen, progress, fleet.metrics, fleet.transport)


async def test_a_directory_gives_the_card_and_the_fleet_the_model(fleet: ScriptedFleet) -> None:
    model = await load(fleet, upstream_key="k3y")
    assert (model.card, model.max_model_len, model.digest_of_weights) == (CARD, 2048, True)
    assert model.architecture == "Qwen2_5_VLForConditionalGeneration"
    assert model.engine.alive
    assert fleet.keys == {"Bearer k3y"}
    await model.engine.stop()


async def test_idle_connections_are_ended_here_before_a_vllm_server_ends_them(
    fleet: ScriptedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the same moment one of the two would lose a prompt."""
    from vllm import envs

    asked: list[httpx.Limits] = []

    def noted(client: Any, *args: Any, limits: httpx.Limits, **kwargs: Any) -> Any:
        asked.append(limits)
        return open_http(client, *args, limits=limits, **kwargs)

    monkeypatch.setattr(start_module, "open_http", noted)
    await load(fleet)
    (limits,) = asked
    assert limits.keepalive_expiry is not None
    assert limits.keepalive_expiry <= 0.6 * envs.VLLM_HTTP_TIMEOUT_KEEP_ALIVE


async def test_a_name_alone_is_served_with_the_zero_shot_profile(fleet: ScriptedFleet) -> None:
    fleet.models = {"data": [{"id": "Qwen/Qwen2.5-VL-7B-Instruct"}]}
    model = await load(fleet, model="Qwen/Qwen2.5-VL-7B-Instruct")
    assert (model.card.name, model.card.profile) == ("Qwen/Qwen2.5-VL-7B-Instruct", "zero_shot")
    assert (model.architecture, model.max_model_len, model.digest_of_weights) == ("unknown", None, False)
    await model.engine.stop()


async def test_a_directory_that_does_not_exist_is_not_taken_for_a_name(fleet: ScriptedFleet) -> None:
    with pytest.raises(CheckpointError, match="not 'runs/gcop'"):
        await load(fleet, model="runs/gcop")


async def test_a_fleet_that_is_not_up_is_waited_for(fleet: ScriptedFleet) -> None:
    fleet.down = {"a", "b"}
    steps: list[str] = []
    loading = asyncio.create_task(load(fleet, steps, upstream_check_interval_s=0.001))
    await until(lambda: fleet.refused >= 6)
    assert not loading.done()
    fleet.down = {"b"}
    model = await loading
    assert (steps, model.engine.alive) == (["waiting for an upstream"], True)
    await model.engine.stop()


async def test_without_an_upstream_the_service_says_engine_dead_and_not_that_it_is_loading(
    fleet: ScriptedFleet,
) -> None:
    fleet.down = {"a", "b"}
    settings = ServerSettings(
        engine="openai", upstreams="http://a/v1,http://b/v1", upstream_check_interval_s=0.001
    )

    def away() -> None:
        service.engine_away = True

    async def loading(_: Path) -> LoadedModel:
        return await load_openai_model(
            settings, lambda _: None, fleet.metrics, fleet.transport, on_no_upstream=away
        )

    service = Service(settings, loading)
    assert service.state == "loading"
    service.start()
    await until(lambda: service.engine_away)
    with pytest.raises(UnavailableError, match="no upstream of the fleet answers yet") as caught:
        service.rewards()
    assert (service.state, caught.value.code) == ("engine_dead", "engine_dead")
    fleet.down = set()
    await service.load_ended.wait()
    assert service.state == "ready"
    await service.stop()


@pytest.mark.slow
async def test_the_service_scores_through_a_fleet_and_tells_where_its_digest_comes_from(
    start: Start, fleet: ScriptedFleet
) -> None:
    def verify(asked: Asked) -> httpx.Response:
        text = json.dumps(asked.body)
        assert "make the red circle blue" in text
        return httpx.Response(
            200, json=chat_answer("1. blue => 1\n2. same => 0\naverage 0.50\n<score>4.0</score>")
        )

    fleet.scripts = {"a": verify, "b": verify}
    running = await start(load=lambda: load(fleet))
    (result,) = (await running.score()).json()["results"]
    assert result["reward"] == 0.4
    assert [verdict["probability"] for verdict in result["verdicts"]] == pytest.approx([0.9, 0.1])
    (model,) = (await running.http.get("/v1/models")).json()["models"]
    assert model["weights_digest_of"] == "weights"
    fleet.down = {"a", "b"}
    assert (await running.score(instruction="make the red circle blue now")).json()["code"] == "engine_dead"
    assert (await running.http.get("/ready")).status_code == 503
