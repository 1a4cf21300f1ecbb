"""What operators see: models, metrics, log lines, OpenAPI."""

import json
import logging
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_service import Running, Start
from scripted_engine import ScriptedEngine
from small_calls import BLUE, RED, b64, picture, png


async def values(running: Running) -> dict[tuple[str, ...], float]:
    text = (await running.http.get("/metrics")).text
    return {
        (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_count_what_happened(running: Running) -> None:
    await running.score(candidates=[b64(BLUE), b64(RED)], principles=None)
    await running.http.post("/v1/score", content=b"{", headers={"content-type": "application/json"})
    seen = await values(running)
    assert seen["edit_rrm_requests_total", "code=ok", "route=/v1/score", "status=200"] == 1
    assert seen["edit_rrm_requests_total", "code=malformed_json", "route=/v1/score", "status=400"] == 1
    assert seen["edit_rrm_candidates_total", "outcome=ok"] == 2
    assert seen["edit_rrm_guards_triggered_total", "guard=no_edit"] == 1
    assert seen["edit_rrm_verdicts_total", "category=follow", "met=true"] == 1
    assert seen["edit_rrm_tokens_total", "kind=prompt"] == 200
    assert seen["edit_rrm_tokens_total", "kind=cached_prompt"] == 128
    assert seen[("edit_rrm_reward_count",)] == 2
    assert seen["edit_rrm_queue_seconds_count", "lane=training"] == 2
    assert seen[("edit_rrm_window_occupancy_count",)] == 2
    assert seen["edit_rrm_groups_total", "variance=some"] == 1
    assert seen[("edit_rrm_score_count",)] == 1  # the guard's 0 is no score of the model's
    assert seen["edit_rrm_score_cache_total", "result=miss"] == 1
    assert seen[("edit_rrm_score_cache_bytes",)] > 0
    assert seen["edit_rrm_phase_seconds_count", "phase=decompose"] == 1
    assert seen["edit_rrm_queue_jobs", "lane=training"] == seen[("edit_rrm_jobs_in_flight",)] == 0
    assert seen["edit_rrm_queue_oldest_seconds", "lane=training"] == 0
    assert seen[("edit_rrm_engine_up",)] == 1


async def test_metrics_tell_whether_a_group_teaches_anything(running: Running) -> None:
    await running.score(candidates=[b64(BLUE), b64(png(picture((0, 90, 200))))], samples=2)
    await running.score(sampling={"temperature": 0.5}, samples=3)
    seen = await values(running)
    assert seen["edit_rrm_groups_total", "variance=zero"] == 1
    assert seen["edit_rrm_groups_total", "variance=some"] == 0
    assert seen[("edit_rrm_disagreement_count",)] == 3


async def test_metrics_count_failures(start: Start) -> None:
    running = await start(ScriptedEngine(lambda _: "nonsense"))
    await running.score()
    running.engine.alive = False
    seen = await values(running)
    assert seen["edit_rrm_unparsed_total", "task=verify"] == 2
    assert seen["edit_rrm_candidates_total", "outcome=trace_unparseable"] == 1
    assert seen[("edit_rrm_engine_up",)] == 0


async def test_unknown_paths_are_one_route_in_the_metrics(running: Running) -> None:
    for path in ("/a", "/b"):
        await running.http.get(path)
    assert (await values(running))[
        "edit_rrm_requests_total", "code=not_found", "route=unknown", "status=404"
    ] == 2


async def test_one_json_line_per_request_without_content(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("edit_rrm_server.http.access")
    logger.setLevel(logging.INFO)
    logger.propagate = True
    with caplog.at_level(logging.INFO, "edit_rrm_server.http.access"):
        response = await running.score(instruction="a secret wish", principles=None)
    (record,) = [r for r in caplog.records if r.name == "edit_rrm_server.http.access"]
    line = json.loads(record.message)
    assert line["id"] == response.headers["X-Request-ID"]
    assert (line["route"], line["status"], line["code"], line["candidates"]) == ("/v1/score", 200, "ok", 1)
    assert line["prompt_tokens"] == 200
    assert line["body_bytes"] > 0
    assert not any(secret in caplog.text for secret in ("secret wish", "circle", b64(BLUE)["b64"][:40]))


async def test_models_describes_the_checkpoint(running: Running) -> None:
    (model,) = (await running.http.get("/v1/models")).json()["models"]
    assert (model["name"], model["weights_digest"], model["profile"]) == (
        "scripted",
        "0123456789ab",
        "trained",
    )
    assert model["limits"]["max_image_side"] == 64
    assert model["sampling"]["temperature"] == 0.0


async def test_images_are_scaled_to_what_the_checkpoint_takes(running: Running) -> None:
    large = b64(png(picture(size=(256, 128))))
    await running.score(source=large, guards="off")
    sizes = {slot.value: image.image.size for slot, image in running.engine.asked[0].images.items()}
    assert sizes == {"source": (64, 32), "candidate": (48, 48)}


async def test_openapi_describes_the_bodies_the_routes_read_themselves(running: Running) -> None:
    schema = (await running.http.get("/openapi.json")).json()
    content = schema["paths"]["/v1/score"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/ScoreRequest"}
    text = json.dumps(schema)
    for reference in re.findall('"#/components/schemas/(.*?)"', text):
        assert reference in schema["components"]["schemas"], reference
