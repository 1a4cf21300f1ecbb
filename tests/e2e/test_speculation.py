"""A service that speculates by n-grams, beside one that does not: the same traces, rewards and verdicts."""

import json
import re
from collections.abc import Iterator

import pytest
from service_process import ServiceProcess, served
from shape_calls import group_call

from edit_rrm_shapes.world.dataset import make_edit

NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 2, "prompt_lookup_max": 4}


@pytest.fixture(scope="module")
def speculating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """By the server's own settings."""
    setting = f"engine_args.speculative_config={json.dumps(NGRAM)}"
    with served(tmp_path_factory.mktemp("speculating"), "--set", setting) as process:
        yield process


def test_what_is_guessed_changes_no_trace_and_no_reward(
    trained: ServiceProcess, speculating: ServiceProcess
) -> None:
    """Places of a checked guess once had no probabilities, and the call ended in a 500. On a CPU a guess is
    dear: few candidates."""
    call = group_call(make_edit(seed=2026, index=3, candidate_count=2), 2, include=["reasoning"])
    plain, guessed = (
        service.http.post("/v1/score", **call).raise_for_status().json()["results"]
        for service in (trained, speculating)
    )
    for one, other in zip(plain, guessed, strict=True):
        assert other["status"] == one["status"] == "ok"
        assert [s["reasoning"] for s in other["samples"]] == [s["reasoning"] for s in one["samples"]]
        assert other["reward"] == pytest.approx(one["reward"], abs=1e-9)
        for mine, theirs in zip(one["verdicts"], other["verdicts"], strict=True):
            assert theirs["probability"] == pytest.approx(mine["probability"], abs=1e-3)
    metrics = speculating.http.get("/metrics").text
    guesses = re.findall(r"^vllm:spec_decode_num_draft_tokens_total\S* (\S+)$", metrics, re.MULTILINE)
    assert sum(map(float, guesses)) > 0
