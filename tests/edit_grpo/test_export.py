"""`edit-grpo export`: diffusers' own pipeline with exported weights draws what the policy draws."""

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from editor_families import FAMILIES, KONTEXT, Family, small_areas
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_runs import small_settings
from typer.testing import CliRunner, Result

from edit_grpo.algorithms.averages import MovingAverage
from edit_grpo.cli.app import app
from edit_grpo.errors import CheckpointError
from edit_grpo.rollout.ode_sampling import sample_ode
from edit_grpo.rollout.rollout import seed_of
from edit_grpo.run.checkpointing import Progress, TrainingState, save_checkpoint
from edit_grpo.run.settings_file import write_settings
from edit_grpo.trained.finding import find_editor, load_editor
from edit_rrm_client import MockRewardServer
from edit_rrm_client.cli import app as client_app
from guide_blocks import shown
from tiny_pipelines import INSTRUCTIONS

TOLERANCE = 1  # of 255, in float32: the pipeline's scheduler steps in another order of operations
STEPS = 3
LORA = {"rank": 4, "alpha": 6.0}


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="module")
def base(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The family's pipeline, in a folder."""
    return family.save(tmp_path_factory.mktemp(family.name) / "base")


def trained(family: Family, base: Path, seed: int = 1, **settings: Any) -> Any:
    """A policy whose trained weights were moved far enough to change what it draws."""
    policy = family.load(base, keep_reference=False, **settings)
    move(policy, seed)
    return policy


def move(policy: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.trainable():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


def drawn(family: Family, policy: Any) -> Image.Image:
    condition = policy.encode([family.sources()], INSTRUCTIONS[:1])
    noise = policy.noise(condition, torch.Generator().manual_seed(7))
    picture: Image.Image = policy.decode(sample_ode(policy, condition, noise, STEPS))[0]
    return picture


def drawn_by_diffusers(
    family: Family, base: Path, lora: Path | None, monkeypatch: pytest.MonkeyPatch
) -> Image.Image:
    """What the stock pipeline draws of the same noise, sources and instruction."""
    pipeline = DiffusionPipeline.from_pretrained(str(base))
    if lora is not None:
        pipeline.load_lora_weights(str(lora))
    with monkeypatch.context() as patched:
        small_areas(patched)
        (picture,) = pipeline(
            prompt=INSTRUCTIONS[0], num_inference_steps=STEPS, generator=torch.Generator().manual_seed(7),
            **family.stock_options(family.sources()),
        ).images  # fmt: skip
    found: Image.Image = picture
    return found


def distance(first: Image.Image, second: Image.Image) -> int:
    """The largest difference of any pixel's level."""
    levels = [
        torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).int() for picture in (first, second)
    ]
    return int((levels[0] - levels[1]).abs().max())


def export(*words: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_stock_diffusers_with_the_exported_lora_draws_the_policy_s_picture(
    family: Family, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = trained(family, base, lora=LORA)
    policy.save(tmp_path / "adapter")
    done = export("--checkpoint", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "lora")
    assert done.exit_code == 0, done.output
    assert f"pipeline.load_lora_weights('{tmp_path}/lora')" in done.output
    assert [path.name for path in (tmp_path / "lora").iterdir()] == ["pytorch_lora_weights.safetensors"]
    mine = drawn(family, policy)
    assert distance(drawn_by_diffusers(family, base, tmp_path / "lora", monkeypatch), mine) <= TOLERANCE
    assert distance(drawn_by_diffusers(family, base, None, monkeypatch), mine) > 10 * TOLERANCE


def test_readers_that_know_no_alpha_see_the_same_editor(
    family: Family, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = trained(family, base, lora=LORA)
    policy.save(tmp_path / "adapter")
    export("--checkpoint", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "lora")
    file = tmp_path / "lora/pytorch_lora_weights.safetensors"
    with safe_open(str(file), "pt") as opened:
        metadata = json.loads(opened.metadata()["lora_adapter_metadata"])
    assert (metadata["transformer.r"], metadata["transformer.lora_alpha"]) == (4, 4)
    weights = load_file(str(file))
    saved = load_file(str(tmp_path / "adapter/adapter_model.safetensors"))
    scales = {"lora_A.weight": 1.0, "lora_B.weight": 6.0 / 4.0}
    assert weights.keys() == {name.replace("base_model.model.", "transformer.") for name in saved}
    for name, weight in saved.items():
        scale = scales[name[-len("lora_A.weight") :]]
        assert torch.equal(weights[name.replace("base_model.model.", "transformer.")], scale * weight), name
    save_file(weights, str(file), metadata={"format": "pt"})
    assert (
        distance(drawn_by_diffusers(family, base, tmp_path / "lora", monkeypatch), drawn(family, policy))
        <= TOLERANCE
    )


def test_an_editor_trained_whole_becomes_a_pipeline(
    family: Family, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = trained(family, base)
    policy.save(tmp_path / "final")
    done = export("--checkpoint", tmp_path / "final", "--out", tmp_path / "whole", "--dtype", "float32")
    assert done.exit_code == 0, done.output
    assert f"from_pretrained('{tmp_path}/whole')" in done.output
    assert (
        distance(drawn_by_diffusers(family, tmp_path / "whole", None, monkeypatch), drawn(family, policy))
        <= TOLERANCE
    )


def averaged_run(
    family: Family, folder: Path, base: Path, **policy: Any
) -> tuple[Path, Image.Image, Image.Image]:
    """A run with one checkpoint of moved weights and their average, and what an editor with each draws."""
    given = {"name": str(base), "dtype": "float32", **family.settings, **policy}
    settings = small_settings(folder, policy=given, optimizer={"ema": 0.5})
    settings.out.mkdir()
    write_settings(settings, settings.out / "settings.yaml")
    editor = trained(family, base, **policy)
    ema = MovingAverage(editor.trainable())
    of_average = drawn(family, editor)
    move(editor, seed=2)
    state = TrainingState(editor.trainable(), torch.optim.AdamW(editor.trainable()), {"ema": ema})

    def save(place: Path) -> None:
        with ema.in_place():
            editor.save(place)

    save_checkpoint(settings.out, Progress(3), state, 1, save)
    return settings.out, of_average, drawn(family, editor)


def test_a_run_s_average_is_exported_or_its_last_weights(
    family: Family, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, of_average, of_last = averaged_run(family, tmp_path, base, lora=LORA)
    for words, mine, other in ((["--ema"], of_average, of_last), (["--no-ema"], of_last, of_average)):
        out = tmp_path / words[0]
        done = export("--checkpoint", run, "--out", out, "--set", f"name={base}", *words)
        assert done.exit_code == 0, done.output
        theirs = drawn_by_diffusers(family, base, out, monkeypatch)
        assert distance(theirs, mine) <= TOLERANCE
        assert distance(theirs, other) > 10 * TOLERANCE


def test_exported_weights_are_sampled_as_the_adapter_is(family: Family, base: Path, tmp_path: Path) -> None:
    """So other people's LoRAs are, too."""
    trained(family, base, lora=LORA).save(tmp_path / "adapter")
    export("--checkpoint", base, "--adapter", tmp_path / "adapter", "--out", tmp_path / "lora")
    edits = write_edits(family, tmp_path, 1)
    made = {}
    for adapter in ("adapter", "lora", None):
        out = tmp_path / f"out-{adapter}"
        words = ["sample", "--checkpoint", base, "--edits", edits, "--out", out, "--steps", STEPS]
        words += ["--adapter", tmp_path / adapter] if adapter else []
        words += [word for name, value in family.settings.items() for word in ("--set", f"{name}={value}")]
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        made[adapter] = Image.open(out / "e0.png")
    assert distance(made["adapter"], made["lora"]) <= TOLERANCE
    assert distance(made["adapter"], made[None]) > 10 * TOLERANCE
    again = export("--checkpoint", base, "--adapter", tmp_path / "lora", "--out", tmp_path / "again")
    assert (again.exit_code, "diffusers loads already" in again.output) == (2, True)


@pytest.mark.parametrize(
    ("name", "told"),
    [("transformer.nowhere.{}.weight", "cannot be loaded into"), ("unet.x.{}.weight", "no LoRA weights of")],
)
def test_lora_weights_of_another_model_are_refused(
    family: Family, base: Path, tmp_path: Path, name: str, told: str
) -> None:
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


def write_edits(family: Family, folder: Path, count: int) -> Path:
    """An edit list whose edits have as many sources as the family's example."""
    rows = []
    for number in range(count):
        row = {"id": f"e{number}", "instruction": INSTRUCTIONS[number]}
        for column, source in zip(("source", "source_2"), family.sources(), strict=False):
            row[column] = f"{number}-{column}.png"
            source.save(folder / row[column])
        rows.append(row)
    path = folder / "edits.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_guide_s_commands_after_a_training(
    family: Family, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real pipeline of each family, sampled, scored and exported; where it takes two sources, with both."""
    monkeypatch.chdir(tmp_path)
    run, _, _ = averaged_run(family, tmp_path, base, lora=LORA)
    (tmp_path / "runs").mkdir()
    run.rename(tmp_path / "runs/kontext")
    write_edits(family, tmp_path, 2)
    plain, server = httpx.AsyncClient, MockRewardServer(0.25)
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: plain(transport=server, **options))
    for program, *words in shown("use-a-trained-editor.md", 0, {}):
        done = CliRunner().invoke({"edit-grpo": app, "edit-rrm": client_app}[program], words)
        assert done.exit_code == 0, (words, done.output)
    scored = [json.loads(line) for line in Path("runs/kontext-scores.jsonl").read_text().splitlines()]
    assert [(row["candidate"], row["reward"]) for row in scored] == [
        (number, 0.25) for number in range(4)
    ] * 2
    assert (scored[4]["source_2"] == "../1-source_2.png") == (len(family.sizes) == 2)
    assert Path("kontext-lora/pytorch_lora_weights.safetensors").is_file()

    policy = load_editor(find_editor("runs/kontext", dtype="float32"), "cpu")
    condition = policy.encode([family.sources()], [INSTRUCTIONS[1]])
    generator = torch.Generator().manual_seed(seed_of("sample", 0, "e1", 3))
    latents = sample_ode(policy, condition, policy.noise(condition, generator), 4)
    (expected,) = policy.decode(latents)
    assert expected is not None
    made = np.asarray(Image.open("runs/kontext-out/e1-3.png"), dtype=int)
    assert np.abs(np.asarray(expected, dtype=int) - made).max() <= 1


def test_an_edit_of_more_sources_than_an_editor_takes_fails_alone(tmp_path: Path) -> None:
    base = KONTEXT.save(tmp_path / "base")
    rows = [json.loads(line) for line in write_edits(KONTEXT, tmp_path, 2).read_text().splitlines()]
    rows[0]["source_2"] = rows[1]["source"]
    (tmp_path / "edits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["sample", "--checkpoint", base, "--edits", tmp_path / "edits.jsonl", "--out", tmp_path / "out"]
    done = CliRunner().invoke(app, [*map(str, words), "--steps", "1"])
    assert (done.exit_code, "1 pictures made, 0 were there, 1 failed" in done.output) == (1, True), (
        done.output
    )
    (failure,) = [json.loads(line) for line in (tmp_path / "out/failures.jsonl").read_text().splitlines()]
    assert (failure["id"], failure["kind"]) == ("e0", "SourceCountError")
