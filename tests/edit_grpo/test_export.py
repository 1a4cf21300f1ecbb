"""`edit-grpo export`: diffusers' own pipeline with exported weights draws what the policy draws."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_runs import small_settings, write_edits
from typer.testing import CliRunner, Result

from edit_grpo.algorithms.averages import MovingAverage
from edit_grpo.cli.app import app
from edit_grpo.errors import CheckpointError
from edit_grpo.policies.loading import load_policy
from edit_grpo.policies.settings import PolicySettings
from edit_grpo.rollout.ode_sampling import sample_ode
from edit_grpo.rollout.rollout import seed_of
from edit_grpo.run.checkpointing import Progress, TrainingState, save_checkpoint
from edit_grpo.run.settings_file import write_settings
from edit_grpo.trained.finding import find_editor, load_editor
from edit_rrm_client import MockRewardServer
from edit_rrm_client.cli import app as client_app
from guide_blocks import shown
from tiny_pipelines import INSTRUCTIONS, kontext_folder, pictures, qwen_folder

TOLERANCE = 1  # of 255, in float32: the pipeline's scheduler steps in another order of operations
STEPS, AREA = 3, 64 * 64
LORA = {"rank": 4, "alpha": 6.0}
FAMILIES = {"kontext": kontext_folder, "qwen": qwen_folder}


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline of each family, in a folder."""
    save: Callable[[Path], Path] = FAMILIES[request.param]
    return save(tmp_path_factory.mktemp(request.param) / "base")


def trained(base: Path, seed: int = 1, **settings: Any) -> Any:
    """A policy whose trained weights were moved far enough to change what it draws."""
    given = {
        "name": str(base),
        "dtype": "float32",
        "gradient_checkpointing": False,
        "area_pixels": AREA,
        **settings,
    }
    policy = load_policy(PolicySettings.model_validate(given), keep_reference=False)
    move(policy, seed)
    return policy


def move(policy: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.trainable():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


def drawn(policy: Any) -> Image.Image:
    condition = policy.encode([policy.prepare(pictures((64, 64))[0])], INSTRUCTIONS[:1])
    noise = policy.noise(condition, torch.Generator().manual_seed(7))
    picture: Image.Image = policy.decode(sample_ode(policy, condition, noise, STEPS))[0]
    return picture


def drawn_by_diffusers(base: Path, lora: Path | None, monkeypatch: pytest.MonkeyPatch) -> Image.Image:
    """What the stock pipeline draws of the same noise, source and instruction."""
    pipeline = DiffusionPipeline.from_pretrained(str(base))
    if lora is not None:
        pipeline.load_lora_weights(str(lora))
    options: dict[str, Any] = {
        "image": pictures((64, 64))[0],
        "prompt": INSTRUCTIONS[0],
        "num_inference_steps": STEPS,
    }
    if type(pipeline).__name__ == "FluxKontextPipeline":
        options |= {
            "width": 64,
            "height": 64,
            "max_area": AREA,
            "_auto_resize": False,
            "guidance_scale": 2.5,
            "max_sequence_length": 26,
        }
    else:  # it brings every source to 1024×1024 pixels' area; 64×64 will do here
        dimensions = pipeline_qwenimage_edit.calculate_dimensions
        monkeypatch.setattr(
            pipeline_qwenimage_edit, "calculate_dimensions", lambda area, ratio: dimensions(AREA, ratio)
        )
        options |= {"true_cfg_scale": 1.0}
    picture: Image.Image = pipeline(**options, generator=torch.Generator().manual_seed(7)).images[0]
    monkeypatch.undo()
    return picture


def distance(first: Image.Image, second: Image.Image) -> int:
    """The largest difference of any pixel's level."""
    levels = [
        torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).int() for picture in (first, second)
    ]
    return int((levels[0] - levels[1]).abs().max())


def export(*words: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_stock_diffusers_with_the_exported_lora_draws_the_policy_s_picture(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = trained(base, lora=LORA)
    policy.save(tmp_path / "adapter")
    done = export("--checkpoint", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "lora")
    assert done.exit_code == 0, done.output
    assert f"pipeline.load_lora_weights('{tmp_path}/lora')" in done.output
    assert [path.name for path in (tmp_path / "lora").iterdir()] == ["pytorch_lora_weights.safetensors"]
    mine = drawn(policy)
    assert distance(drawn_by_diffusers(base, tmp_path / "lora", monkeypatch), mine) <= TOLERANCE
    assert distance(drawn_by_diffusers(base, None, monkeypatch), mine) > 10 * TOLERANCE


def test_readers_that_know_no_alpha_see_the_same_editor(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = trained(base, lora=LORA)
    policy.save(tmp_path / "adapter")
    export("--checkpoint", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "lora")
    file = tmp_path / "lora/pytorch_lora_weights.safetensors"
    with safe_open(str(file), "pt") as opened:
        metadata = json.loads(opened.metadata()["lora_adapter_metadata"])
    assert (metadata["transformer.r"], metadata["transformer.lora_alpha"]) == (4, 4)
    weights = load_file(str(file))
    assert all(name.startswith("transformer.transformer_blocks.") or "single" in name for name in weights)
    saved = load_file(str(tmp_path / "adapter/adapter_model.safetensors"))
    name = "transformer_blocks.0.attn.to_q.lora_B.weight"
    assert torch.equal(weights[f"transformer.{name}"], 1.5 * saved[f"base_model.model.{name}"])
    save_file(weights, str(file), metadata={"format": "pt"})
    assert distance(drawn_by_diffusers(base, tmp_path / "lora", monkeypatch), drawn(policy)) <= TOLERANCE


def test_an_editor_trained_whole_becomes_a_pipeline(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = trained(base)
    policy.save(tmp_path / "final")
    done = export("--checkpoint", tmp_path / "final", "--out", tmp_path / "whole", "--dtype", "float32")
    assert done.exit_code == 0, done.output
    assert f"from_pretrained('{tmp_path}/whole')" in done.output
    assert distance(drawn_by_diffusers(tmp_path / "whole", None, monkeypatch), drawn(policy)) <= TOLERANCE


def averaged_run(folder: Path, base: Path, **policy: Any) -> tuple[Path, Image.Image, Image.Image]:
    """A run with one checkpoint of moved weights and their average, and what an editor with each draws."""
    given = {"name": str(base), "dtype": "float32", "area_pixels": AREA, **policy}
    settings = small_settings(folder, policy=given, optimizer={"ema": 0.5})
    settings.out.mkdir()
    write_settings(settings, settings.out / "settings.yaml")
    editor = trained(base, **policy)
    ema = MovingAverage(editor.trainable())
    of_average = drawn(editor)
    move(editor, seed=2)
    state = TrainingState(editor.trainable(), torch.optim.AdamW(editor.trainable()), {"ema": ema})

    def save(place: Path) -> None:
        with ema.in_place():
            editor.save(place)

    save_checkpoint(settings.out, Progress(3), state, 1, save)
    return settings.out, of_average, drawn(editor)


def test_a_run_s_average_is_exported_or_its_last_weights(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, of_average, of_last = averaged_run(tmp_path, base, lora=LORA)
    for words, mine, other in ((["--ema"], of_average, of_last), (["--no-ema"], of_last, of_average)):
        out = tmp_path / words[0]
        done = export("--checkpoint", run, "--out", out, "--set", f"name={base}", *words)
        assert done.exit_code == 0, done.output
        theirs = drawn_by_diffusers(base, out, monkeypatch)
        assert distance(theirs, mine) <= TOLERANCE
        assert distance(theirs, other) > 10 * TOLERANCE


def test_exported_weights_are_sampled_as_the_adapter_is(base: Path, tmp_path: Path) -> None:
    """So other people's LoRAs are, too."""
    trained(base, lora=LORA).save(tmp_path / "adapter")
    export("--checkpoint", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "lora")
    edits = write_edits(tmp_path, count=1)
    made = {}
    for adapter in ("adapter", "lora", None):
        out = tmp_path / f"out-{adapter}"
        words = ["sample", "--checkpoint", base, "--edits", edits, "--out", out, "--steps", STEPS]
        words += ["--set", f"area_pixels={AREA}", *(["--adapter", tmp_path / adapter] if adapter else [])]
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        made[adapter] = Image.open(out / "edits.jsonl-0.png")
    assert distance(made["adapter"], made["lora"]) <= TOLERANCE
    assert distance(made["adapter"], made[None]) > 10 * TOLERANCE
    again = export("--checkpoint", base, "--adapter", tmp_path / "lora", "--out", tmp_path / "again")
    assert (again.exit_code, "diffusers loads already" in again.output) == (2, True)


@pytest.mark.parametrize(
    ("name", "told"),
    [("transformer.nowhere.{}.weight", "cannot be loaded into"), ("unet.x.{}.weight", "no LoRA weights of")],
)
def test_lora_weights_of_another_model_are_refused(base: Path, tmp_path: Path, name: str, told: str) -> None:
    weights = {name.format("lora_A"): torch.zeros(2, 4), name.format("lora_B"): torch.zeros(4, 2)}
    save_file(weights, str(tmp_path / "pytorch_lora_weights.safetensors"))
    found = find_editor(str(base), tmp_path, dtype="float32")
    with pytest.raises(CheckpointError, match=told):
        load_editor(found, "cpu")


def test_what_cannot_be_exported_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "model_index.json").write_text('{"_class_name": "FluxKontextPipeline"}')
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["to_q"]}
    weights = {"base_model.model.to_q.lora_A.weight": torch.zeros(2, 4)}

    def told(config: dict[str, Any], weights: dict[str, torch.Tensor]) -> str:
        (adapter / "adapter_config.json").write_text(json.dumps(config))
        save_file(weights, str(adapter / "adapter_model.safetensors"))
        done = export("--checkpoint", base, "--adapter", adapter, "--out", tmp_path / "out")
        assert done.exit_code == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]
        return done.output

    assert "its peft_type is 'LOHA'" in told({**config, "peft_type": "LOHA"}, weights)
    assert "more than LoRA (use_dora)" in told({**config, "use_dora": True}, weights)
    assert "'base_model.model.to_q.bias', which is no LoRA weight" in told(
        config, {"base_model.model.to_q.bias": torch.zeros(1)}
    )
    (base / "model_index.json").write_text('{"_class_name": "DDPMPipeline"}')
    assert "DDPMPipeline, the class of" in told(config, weights)
    assert "keeps no moving average" in export("--checkpoint", base, "--out", tmp_path / "o", "--ema").output
    assert "is there already" in export("--checkpoint", base, "--adapter", adapter, "--out", base).output


def test_the_guide_s_commands_after_a_training(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real pipeline of each family, sampled, scored and exported."""
    monkeypatch.chdir(tmp_path)
    run, _, _ = averaged_run(tmp_path, base, lora=LORA)
    (tmp_path / "runs").mkdir()
    run.rename(tmp_path / "runs/kontext")
    write_edits(tmp_path, count=2)
    plain, server = httpx.AsyncClient, MockRewardServer(0.25)
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: plain(transport=server, **options))
    for program, *words in shown("train-an-editor.md", 4, {}):
        done = CliRunner().invoke({"edit-grpo": app, "edit-rrm": client_app}[program], words)
        assert done.exit_code == 0, (words, done.output)
    scored = [json.loads(line) for line in Path("runs/kontext-scores.jsonl").read_text().splitlines()]
    assert [(row["candidate"], row["reward"]) for row in scored] == [
        (number, 0.25) for number in range(4)
    ] * 2
    assert scored[0]["source"] == "kontext-out/sources/edits.jsonl-0.png"  # the editor saw 64×64 of its 8×8
    assert Path("kontext-lora/pytorch_lora_weights.safetensors").is_file()

    policy = load_policy(find_editor("runs/kontext", dtype="float32").policy, keep_reference=False)
    condition = policy.encode([Image.open("runs/kontext-out/sources/edits.jsonl-1.png")], ["make it red"])
    generator = torch.Generator().manual_seed(seed_of("sample", 0, "edits.jsonl-1", 3))
    latents = sample_ode(policy, condition, policy.noise(condition, generator), 4)
    expected = np.asarray(policy.decode(latents)[0], dtype=int)
    made = np.asarray(Image.open("runs/kontext-out/edits.jsonl-1-3.png"), dtype=int)
    assert np.abs(expected - made).max() <= 1
