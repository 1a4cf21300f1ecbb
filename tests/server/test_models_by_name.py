"""Several models on one engine: a request chooses by `model`, and what it is told is that model's alone."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from running_service import CARD, Running, Start
from scripted_engine import Asked, ScriptedEngine, well_behaved
from small_calls import RED, b64, picture, png, score_body

from edit_rrm.judges.spec import judge_spec
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.prompts import ImageSlot
from edit_rrm_server.engines.engine import Completion
from edit_rrm_server.engines.loaded_model import LoadedModel
from edit_rrm_server.settings.server import ServerSettings, load_settings

BASE, SHARP, DIGITS = "scripted", "sharp", "digits"
SMALL_CANDIDATES = {
    "name": "small",
    "reward": "looks",
    "pictures": {"pixel_budget": 1200, "candidate": "source_size"},
    "sampling": {"max_tokens": 64},
    "asks": [
        {
            "name": "edit",
            "messages": [{"role": "user", "parts": [{"image": "source"}, {"image": "candidate"}, "well?"]}],
            "answer": {"form": "json_scores", "range": [0, 10], "subscores": ["looks"]},
        }
    ],
}


def script(asked: Asked) -> str | Completion:
    return '{"score": 5}' if asked.adapter == DIGITS else well_behaved(asked)


@pytest.fixture
async def models(start: Start) -> Running:
    """A base that is asked by its card, an adapter that is asked as its base, one with a judge of its own."""
    engine = ScriptedEngine(script)

    async def load() -> LoadedModel:
        base = LoadedModel(engine, CARD, "000000000000", "Q", 2048, prefix_reuse=0.9)
        sharp = replace(
            base,
            card=CARD.model_copy(update={"name": SHARP}),
            weights_digest="111111111111",
            adapter=SHARP,
            prefix_reuse=0.2,
        )
        judge = WrittenJudge(judge_spec(SMALL_CANDIDATES, "the test"))
        card = CARD.model_copy(update={"name": DIGITS, "max_image_side": 40})
        digits = replace(sharp, card=card, weights_digest="222222222222", adapter=DIGITS, chosen_judge=judge)
        return replace(base, further=(sharp, digits))

    return await start(engine, load)


@pytest.mark.parametrize(
    ("wanted", "adapter", "name"),
    [
        (None, "", "scripted@000000000000"),
        (BASE, "", "scripted@000000000000"),
        (SHARP, SHARP, "sharp@111111111111"),
        ("sharp@111111111111", SHARP, "sharp@111111111111"),
    ],
)
async def test_a_request_is_answered_by_the_model_it_names(
    models: Running, wanted: str | None, adapter: str, name: str
) -> None:
    answer = (await models.score(principles=None, model=wanted)).json()
    assert answer["model"] == name
    assert {asked.adapter for asked in models.engine.asked} == {adapter}
    decomposed = await models.http.post(
        "/v1/decompose",
        json={"instruction": score_body()["instruction"], "source": b64(RED), "model": wanted},
    )
    assert (decomposed.json()["model"], decomposed.json()["principles_from"]) == (name, "cache")


async def test_no_model_is_answered_from_anothers_cache(models: Running) -> None:
    for wanted in (None, SHARP, None, SHARP):
        await models.score(principles=None, model=wanted)
    assert [asked.adapter for asked in models.engine.asked] == ["", "", SHARP, SHARP]


@pytest.mark.parametrize("wanted", ["dull", "sharp@000000000000", "sharp@"])
async def test_a_model_that_is_not_served_is_unknown(models: Running, wanted: str) -> None:
    answer = await models.score(model=wanted)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
    assert "there is scripted@000000000000, sharp@111111111111, digits+small." in answer.json()["detail"]
    assert models.engine.asked == []


async def test_all_of_them_are_listed_the_default_first(models: Running) -> None:
    listed = (await models.http.get("/v1/models")).json()["models"]
    assert [model["name"] for model in listed] == [BASE, SHARP, DIGITS]
    assert [model["limits"]["pixel_budget"] for model in listed] == [None, None, 1200]
    assert [model["needs_principles"] for model in listed] == [True, True, False]


async def test_the_metric_shows_the_least_reuse_of_any(models: Running) -> None:
    assert "prefix_reuse_ratio 0.2" in (await models.http.get("/metrics")).text


async def test_each_model_is_shown_images_as_its_own_judge_wants_them(models: Running) -> None:
    source, candidate = b64(png(picture(size=(64, 48)))), b64(png(picture((30, 30, 220), size=(60, 60))))
    for wanted in (BASE, DIGITS):
        fields: dict[str, Any] = {
            "source": source,
            "candidates": [candidate],
            "model": wanted,
            "guards": "off",
        }
        answer = await models.score(principles=None, **fields)
        assert answer.json()["results"][0]["status"] == "ok", answer.text
    plain, small = models.engine.asked[-2], models.engine.asked[-1]
    sizes = [
        [asked.images[slot].image.size for slot in (ImageSlot.SOURCE, ImageSlot.CANDIDATE)]
        for asked in (plain, small)
    ]
    assert sizes == [[(64, 48), (60, 60)], [(40, 30), (40, 30)]]


async def test_a_line_that_its_model_does_not_take_costs_that_line_alone(models: Running) -> None:
    lines = [
        {**score_body(), "key": "ok"},
        {**score_body(), "key": "unknown", "model": "dull"},
        {**score_body(), "key": "principles", "model": DIGITS},
        {**score_body(), "key": "adapter", "model": SHARP},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    answer = await models.http.post(
        "/v1/score/stream", content=body, headers={"content-type": "application/x-ndjson"}
    )
    found = {line["key"]: line for line in map(json.loads, answer.text.splitlines())}
    assert found["ok"]["model"] == "scripted@000000000000"
    assert found["adapter"]["model"] == "sharp@111111111111"
    assert found["unknown"]["error"]["code"] == "unknown_model"
    assert found["principles"]["error"]["code"] == "invalid_request"


def test_adapters_are_named_in_file_variable_and_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_RRM_ADAPTERS__two", "org/two")
    assert load_settings({"adapters.one": "runs/one"}).adapters == {"one": "runs/one", "two": "org/two"}


@pytest.mark.parametrize("name", ["", "a b", "a@b", "-a", "x" * 65])
def test_a_name_that_no_request_could_tell_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="adapters"):
        ServerSettings(adapters={name: "runs/one"})


def test_a_fleet_serves_adapters_of_its_own() -> None:
    with pytest.raises(ValidationError, match="a fleet serves each of its own as a model"):
        ServerSettings(engine="openai", upstreams=("http://127.0.0.1:1/v1",), adapters={"a": "runs/a"})
