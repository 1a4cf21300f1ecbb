"""Which editor a path means."""

from pathlib import Path

import pytest
from small_runs import small_settings, train

from edit_grpo.errors import CheckpointError, SettingsError
from edit_grpo.run.settings import TrainSettings
from edit_grpo.trained.finding import FoundEditor, find_editor
from edit_grpo.trained.folder import weights_mark


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """A finished run of six updates, whose `final/` looks like an adapter."""
    folder = tmp_path_factory.mktemp("runs")
    policy = {"guidance_scale": 3.5, "dtype": "bfloat16", "lora": {"rank": 2}}
    settings = small_settings(folder, policy=policy, optimizer={"ema": 0.5})
    train(settings)
    for weights in (settings.out / "final", *settings.out.glob("checkpoints/*/policy")):
        (weights / "adapter_config.json").write_text("{}")
    return settings


def newest(run: TrainSettings) -> Path:
    return run.out / "checkpoints/update-0000006"


def test_a_run_s_adapter_goes_on_its_base_with_its_settings(run: TrainSettings) -> None:
    found = find_editor(str(run.out))
    assert (found.policy.name, found.policy.adapter) == ("linear", run.out / "final")
    assert (found.policy.guidance_scale, found.policy.dtype) == (3.5, "bfloat16")
    assert (found.policy.lora, found.policy.gradient_checkpointing) == (None, False)
    assert (found.steps, found.name, found.averaged) == (4, "run", True)
    assert found.checkpoint == newest(run)


def test_a_run_given_as_adapter_is_its_weights_under_the_run_s_name(run: TrainSettings) -> None:
    """Its folder holds no weights: two runs on one base were one editor, and an export found no adapter."""
    found = find_editor("linear", run.out)
    assert (found.policy.adapter, found.name) == (run.out / "final", "run")


@pytest.mark.parametrize(
    "inside", ["final", "checkpoints/update-0000003", "checkpoints/update-0000003/policy"]
)
def test_final_and_checkpoints_are_found_by_themselves(run: TrainSettings, inside: str) -> None:
    found = find_editor(str(run.out / inside))
    weights = run.out / inside
    assert found.policy.adapter == (weights / "policy" if weights.parent.name == "checkpoints" else weights)
    assert (found.policy.name, found.name, found.steps) == ("linear", "run", 4)
    assert found.checkpoint == (newest(run) if inside == "final" else run.out / "checkpoints/update-0000003")


def test_settings_may_be_changed(run: TrainSettings) -> None:
    found = find_editor(str(run.out), changes=["guidance_scale=4", "name=/models/base"], dtype="float32")
    assert (found.policy.guidance_scale, found.policy.name, found.policy.dtype) == (
        4.0,
        "/models/base",
        "float32",
    )
    with pytest.raises(SettingsError, match="guidance"):
        find_editor(str(run.out), changes=["guidance=4"])


def test_an_unfinished_run_is_its_newest_checkpoint(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, updates=3)
    train(settings)
    (settings.out / "final").rename(tmp_path / "away")
    found = find_editor(str(settings.out))
    assert found.policy.name == str(settings.out / "checkpoints/update-0000003/policy")
    for file in settings.out.glob("checkpoints/*"):
        file.rename(tmp_path / file.name)
    with pytest.raises(CheckpointError, match="neither final/ nor a checkpoint"):
        find_editor(str(settings.out))


def test_a_pipeline_takes_an_adapter_and_an_adapter_alone_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("of: something else\n")
    for name, file in (("base", "model_index.json"), ("lora", "adapter_config.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    found = find_editor(str(tmp_path / "base"), tmp_path / "lora")
    assert (found.policy.name, found.policy.adapter) == (str(tmp_path / "base"), tmp_path / "lora")
    assert (found.name, found.steps, found.policy.dtype) == ("lora", None, "bfloat16")
    with pytest.raises(SettingsError, match=f"give the base as the editor, and --adapter {tmp_path}/lora"):
        find_editor(str(tmp_path / "lora"))
    with pytest.raises(SettingsError, match="or no other adapter"):
        find_editor(str(tmp_path / "lora"), tmp_path / "lora")


def test_a_registered_editor_is_known_by_its_name() -> None:
    assert find_editor("shapes-editor") == FoundEditor(
        policy=find_editor("shapes-editor").policy, name="shapes-editor"
    )
    assert find_editor("shapes-editor").policy.name == "shapes-editor"


def test_weights_are_told_apart_by_their_last_bytes_and_their_number(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    file = tmp_path / "transformer/model.safetensors"
    marks = []
    for content in (b"0" * 3_000_000 + b"a", b"0" * 3_000_000 + b"b", b"0" * 3_000_001):
        file.write_bytes(content)
        marks.append(weights_mark(tmp_path))
    (tmp_path / "transformer/more.safetensors").write_bytes(b"0")
    assert len({*marks, weights_mark(tmp_path)}) == 4
