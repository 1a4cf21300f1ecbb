"""`--judge`: a checkpoint of random weights answers in the judge's form, by the engine's own grammar."""

from collections.abc import Iterator

import pytest
from service_process import ServiceProcess, served
from shape_calls import group_call
from untrained_checkpoint import save_untrained

from edit_rrm_shapes.world.dataset import EditRecord

SAMPLES = 8


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A random checkpoint that is asked for three scores, ready."""
    directory = tmp_path_factory.mktemp("three_scores")
    checkpoint = save_untrained(directory / "random-vlm")
    with served(
        directory, "--model", str(checkpoint), "--judge", "three_scores", "--set", "retries=0"
    ) as process:
        yield process


def test_every_answer_of_random_weights_is_read(scoring: ServiceProcess, edit: EditRecord) -> None:
    call = group_call(
        edit,
        3,
        principles=None,
        guards="off",
        samples=SAMPLES,
        sampling={"temperature": 1.0, "max_tokens": 1500},
        include=["reasoning"],
    )
    answer = scoring.http.post("/v1/score", **call).json()
    assert [result["status"] for result in answer["results"]] == ["ok"] * 3
    for result in answer["results"]:
        assert len(result["samples"]) == SAMPLES
        for sample in result["samples"]:
            assert sample["subscores"].keys() == {"follow", "keep", "quality"}
            assert all(0.0 <= value <= 1.0 for value in sample["subscores"].values())
            assert sample["reasoning"].startswith('{"reasoning": "')


def test_the_model_says_who_judges(scoring: ServiceProcess) -> None:
    (model,) = scoring.http.get("/v1/models").json()["models"]
    name, _, version = model["judge"].partition(".")
    assert (name, len(version)) == ("three_scores", 6)
    assert model["subscores"] == ["follow", "keep", "quality"]


def test_principles_are_refused_before_anything_runs(scoring: ServiceProcess, edit: EditRecord) -> None:
    response = scoring.http.post("/v1/score", **group_call(edit, 1))
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
