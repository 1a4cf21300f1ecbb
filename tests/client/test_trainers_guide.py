"""docs/trainers.md: every adapter's block runs and prints what the page says.

The dialects' blocks need the service itself: tests/e2e/test_dialects.py runs those.
"""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from edit_rrm_client import adapters
from guide_blocks import blocks_of, run_blocks, serve_pictures

DIALECTS = ("Flow-Factory", "UniRL")


def test_every_adapters_block_runs_and_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_pictures(tmp_path, monkeypatch)
    blocks = [block for block in blocks_of("trainers.md") if block.heading not in DIALECTS]
    assert [block.heading for block in blocks if block.language == "python"] == [
        "TRL",
        "flow_grpo",
        "UniWorld Edit-R1",
        "EditScore",
        "verl",
        "verl-omni",
        "OpenRLHF",
    ]
    run_blocks(blocks, {}, capsys)


def test_every_factory_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text(encoding="utf-8")
    factories = [name for name in adapters.__all__ if name != "OnFailure"]
    assert [name for name in factories if name not in page] == []


def test_the_settings_of_the_dialects_trainers_are_yaml() -> None:
    settings = [block for block in blocks_of("trainers.md") if block.language == "yaml"]
    assert [block.heading for block in settings] == list(DIALECTS)
    flow_factory, unirl = (yaml.safe_load(block.code) for block in settings)
    assert flow_factory["rewards"][0]["reward_model"].endswith("EditRewardModel")
    assert unirl["backend"]["config"]["required_rewards"] == ["edit_rrm"]


def test_the_class_for_flow_factory_asks_for_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("flow_factory.rewards.my_reward_remote")
    module.RemotePointwiseRewardModel = type("RemotePointwiseRewardModel", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    page: dict[str, object] = {}
    exec(next(block.code for block in blocks_of("trainers.md") if block.heading == "Flow-Factory"), page)
    assert "condition_images" in page["EditRewardModel"].required_fields  # type: ignore[attr-defined]
