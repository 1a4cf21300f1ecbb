"""The dialects on the real service, called with `requests`, as Flow-Factory's and UniRL's clients call.

The service has a key, which these clients can only put into the address.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from service_process import served
from shape_calls import png

from edit_rrm_shapes.world.dataset import EditRecord

GUIDE = Path(__file__).parents[2] / "docs" / "trainers.md"
BLOCK = "```python\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that speaks both dialects, ready; its address with the key in it."""
    directory = tmp_path_factory.mktemp("dialects")
    settings = ("--set", "dialects=flow_factory,unirl", "--set", "api_keys=lighthouse")
    with served(directory, *settings) as process:
        yield process.url.replace("http://", "http://any:lighthouse@")


def text(image: Any) -> str:
    return base64.b64encode(png(image)).decode()


def compute(address: str, edit: EditRecord, pictures: list[str]) -> dict[str, Any]:
    payload = {
        "prompt": [edit.request.instruction] * len(pictures),
        "image": pictures,
        "video": None,
        "condition_images": [[text(edit.picture())]] * len(pictures),
        "condition_videos": None,
        "kwargs": None,
    }
    response = requests.post(f"{address}/compute", json=payload, timeout=60)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def wire_request(edit: EditRecord, picture: str, key: str) -> dict[str, Any]:
    return {
        "history": [
            {"text": edit.request.instruction, "image_b64": text(edit.picture())},
            {"text": edit.request.instruction, "image_b64": picture},
        ],
        "required_rewards": ["edit_rrm"],
        "metadata": None,
        "request_id": key,
        "sample_id": None,
        "group_id": None,
        "source_rank": 0,
        "policy_version": None,
        "scorer_version": None,
        "idempotency_key": key,
    }


def test_both_dialects_give_the_rewards_of_v1(address: str, edit: EditRecord) -> None:
    pictures = [text(candidate.picture()) for candidate in edit.candidates]
    v1 = requests.post(
        f"{address}/v1/score",
        json={
            "instruction": edit.request.instruction,
            "source": {"b64": text(edit.picture())},
            "candidates": [{"b64": picture} for picture in pictures],
        },
        timeout=60,
    ).json()
    ok = [i for i, result in enumerate(v1["results"]) if result["status"] == "ok"]
    assert len(ok) >= 6
    rewards = [v1["results"][i]["reward"] for i in ok]
    assert compute(address, edit, [pictures[i] for i in ok]) == {"rewards": rewards}
    batch = [wire_request(edit, pictures[i], f"candidate-{i}") for i in ok]
    answer = requests.post(
        f"{address}/score", json={"protocol_version": "1", "requests": batch}, timeout=300
    ).json()
    assert [r["edit_rrm"]["overall"] for r in answer["results"]] == [10 * reward for reward in rewards]
    assert answer["errors"] == [{}] * len(ok)
    for sent, echoed in zip(batch, answer["identities"], strict=True):
        names = ("request_id", "sample_id", "group_id", "source_rank", "policy_version", "idempotency_key")
        assert [echoed[name] for name in names] == [sent[name] for name in names]
        assert echoed["scorer_version"] == v1["model"]


def test_a_broken_edit_is_an_error_of_its_own(address: str, edit: EditRecord) -> None:
    broken = base64.b64encode(png(edit.picture())[:80]).decode()
    good = text(edit.candidates[0].picture())
    answer = compute(address, edit, [good, broken])
    assert answer["error"].startswith("broken_image: 1 of 2 edits were not scored")
    batch = [wire_request(edit, good, "g"), wire_request(edit, broken, "b")]
    answer = requests.post(
        f"{address}/score", json={"protocol_version": "1", "requests": batch}, timeout=300
    ).json()
    assert [sorted(result) for result in answer["results"]] == [["edit_rrm"], []]
    assert answer["errors"][1]["edit_rrm"].startswith("broken_image")


def test_health_tells_unirl_what_is_served_without_a_key(address: str) -> None:
    answer = requests.get(address.replace("any:lighthouse@", "") + "/health", timeout=60).json()
    assert answer["status"] == "ok"
    assert answer["rewards"]["edit_rrm"][0] == "overall"
    assert requests.get(f"{address}/rewards", timeout=60).json() == {"rewards": ["edit_rrm"]}


def test_the_guides_calls_get_the_answers_it_shows(
    address: str,
    edit: EditRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, image in {
        "source.png": edit.picture(),
        "first.png": edit.candidates[0].picture(),
        "second.png": edit.candidates[1].picture(),
    }.items():
        image.save(name)
    guide = GUIDE.read_text(encoding="utf-8").partition("## Dialects")[2]
    page: dict[str, Any] = {"instruction": edit.request.instruction}
    calls = [part for part in guide.split(BLOCK)[1:] if "requests.post" in part]
    assert len(calls) == 2
    for part in calls:
        code, _, rest = part.partition("```\n")
        exec(code.replace("http://127.0.0.1:8000", address), page)
        assert f"```text\n{capsys.readouterr().out}```" in rest[:200]
