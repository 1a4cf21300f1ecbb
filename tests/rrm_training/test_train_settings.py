"""Settings of SFT and GCPO runs: files, the command line, and what is refused."""

from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from edit_rrm_training.cli.app import app
from edit_rrm_training.errors import SettingsError
from edit_rrm_training.runs import training_run
from edit_rrm_training.runs.settings import (
    GcpoConfig,
    RrmLora,
    RunSettings,
    SftConfig,
    VllmSettings,
    load_config,
    parse_assignments,
)
from edit_rrm_training.runs.training_run import training_arguments
from edit_rrm_training.sft.run import sft_arguments

CONFIGS = Path(__file__).parents[2] / "rrm_training" / "configs"
NEEDED = {"base": "b", "out": "o", "pairs": "p.jsonl", "steps": 10}


def test_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("base: b\nout: o\npairs: p.jsonl\nsteps: 10\nlr: 1e-5\nlora:\n  rank: 8\n")
    given = parse_assignments(["lr=1e-6", "lora.alpha=4", "traces=3", "vllm=null"])
    config = load_config(GcpoConfig, file, given)
    assert (config.lr, config.traces, config.steps) == (1e-6, 3, 10)
    assert config.lora == RrmLora(rank=8, alpha=4)
    assert config.vllm is None


@pytest.mark.parametrize(
    ("name", "text"),
    [("run.json", '{"steps": 7}'), ("run.toml", "steps = 7"), ("run.yaml", "steps: 7")],
)
def test_a_byte_order_mark_before_settings_is_let_be(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8-sig")
    config = load_config(GcpoConfig, file, {name: value for name, value in NEEDED.items() if name != "steps"})
    assert config.steps == 7


def test_every_wrong_name_and_value_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_config(GcpoConfig, None, {**NEEDED, "learning_rate": 1, "traces": 1, "lora.rang": 3})
    assert all(name in str(caught.value) for name in ("learning_rate", "traces", "lora.rang"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(SettingsError, match="must hold a table of settings"):
        load_config(GcpoConfig, tmp_path / "list.yaml", {})
    with pytest.raises(SettingsError, match="NAME=VALUE, got 'steps'"):
        parse_assignments(["steps"])


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"updates_per_rollout": 3, "save_every": 100}, "multiple of updates_per_rollout"),
        ({"eval_every": 5}, "validation_pairs go together"),
        ({"keep_best": True}, r"eval_every \(None\) must be a multiple of save_every"),
        (
            {"keep_best": True, "validation_pairs": "v.jsonl", "eval_every": 50, "save_every": 20},
            r"eval_every \(50\) must be a multiple of save_every \(20\)",
        ),
        ({"optimizer": "muon", "lora": {}}, "does not go with lora"),
        ({"vllm": {"mode": "server"}}, "server_url"),
        (
            {"attention": "flash_attention_2", "dtype": "float32"},
            "16 bits: set dtype to bfloat16",
        ),
        (
            {"attention": "eager", "share_prompts": True, "batch_per_device": 8},
            "share_prompts needs attention sdpa, not eager",
        ),
        ({"vllm": {"server_url": "http://x"}}, "server_url"),
        ({"vllm": {"max_model_tokens": 1024}}, r"more than max_trace_tokens \(1024\)"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(more: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_config(GcpoConfig, None, {**NEEDED, **more})


@pytest.mark.parametrize(
    ("steps", "more", "apart"),
    [
        (4, {}, 50),
        (2000, {}, 100),
        (15_000, {}, 750),
        (100_000, {}, 1000),
        (15_000, {"save_every": 20}, 20),
    ],
)
def test_checkpoints_are_as_far_apart_as_the_run_is_long(
    steps: int, more: dict[str, int], apart: int
) -> None:
    config = load_config(SftConfig, None, {"base": "b", "out": "o", "rows": ["r"], "steps": steps, **more})
    assert config.save_steps == apart
    assert training_arguments(config)["save_steps"] == apart


@pytest.mark.parametrize(
    ("more", "apart"),
    [
        ({"updates_per_rollout": 3}, 51),  # whole rollouts
        ({"keep_best": True, "eval_every": 20, "validation_pairs": "v"}, 20),  # what is measured
        ({"keep_best": True, "eval_every": 20, "validation_pairs": "v", "save_every": 10}, 10),
    ],
)
def test_gcpo_saves_whole_rollouts_and_what_it_may_keep(more: dict[str, object], apart: int) -> None:
    assert load_config(GcpoConfig, None, {**NEEDED, **more}).save_steps == apart


@pytest.mark.parametrize(
    ("gpu", "settings", "expected"),
    [
        (True, {}, {"bf16": True, "tf32": True, "use_cpu": False}),
        (True, {"dtype": "float32"}, {"bf16": False, "tf32": True, "use_cpu": False}),
        (True, {"tf32": False}, {"bf16": True, "tf32": False, "use_cpu": False}),
        (False, {}, {"bf16": False, "tf32": None, "use_cpu": True}),
    ],
)
def test_a_gpu_computes_in_bfloat16_and_tf32(
    gpu: bool, settings: dict[str, object], expected: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: gpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(training_run, "is_torch_tf32_available", lambda: gpu)
    for kind, needed in ((GcpoConfig, NEEDED), (SftConfig, {**NEEDED, "rows": ["r"]})):
        needed = {name: value for name, value in needed.items() if name in kind.model_fields}
        found = training_arguments(load_config(kind, None, {**needed, **settings}))
        assert {name: found[name] for name in expected} == expected


def test_validation_is_measured_as_often_as_is_saved_unless_told() -> None:
    needed = {"base": "b", "out": "o", "rows": ["r"], "steps": 2000, "dtype": "float32"}
    plain = sft_arguments(load_config(SftConfig, None, needed))
    assert plain.eval_strategy == "no"
    held_out = {**needed, "validation_rows": ["v"]}
    measured = sft_arguments(load_config(SftConfig, None, held_out))
    assert (measured.eval_strategy, measured.eval_steps) == ("steps", 100)
    assert measured.per_device_eval_batch_size == 4
    assert sft_arguments(load_config(SftConfig, None, {**held_out, "eval_every": 7})).eval_steps == 7
    with pytest.raises(SettingsError, match="eval_every has no effect without validation_rows"):
        load_config(SftConfig, None, {**needed, "eval_every": 7})


def test_a_rollout_is_shared_by_the_processes_in_equal_forward_passes() -> None:
    config = load_config(
        GcpoConfig, None, {**NEEDED, "pairs_per_step": 4, "traces": 3, "batch_per_device": 6}
    )
    assert config.accumulation(1) == 4  # 4 pairs × 2 × 3 traces = 24 = 4 × 6
    assert config.accumulation(2) == 2
    with pytest.raises(SettingsError, match="= 24 must be a multiple of 3 processes"):
        config.accumulation(3)
    with pytest.raises(SettingsError, match="8 processes"):
        config.accumulation(8)


@pytest.mark.parametrize("kind", [SftConfig, GcpoConfig, RrmLora, VllmSettings])
def test_every_setting_says_what_it_is(kind: type[RunSettings]) -> None:
    assert all(field.description for field in kind.model_fields.values())


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_configuration_fits_its_model_and_eight_gpus(file: Path) -> None:
    stage, size, *_, method = file.stem.split("_")
    config = load_config(SftConfig if stage == "sft" else GcpoConfig, file, {})
    assert (config.lora is not None) == (method == "lora")
    assert config.dtype == "bfloat16"
    assert size in str(config.out)
    if isinstance(config, GcpoConfig):
        assert config.accumulation(8) >= 1
        assert config.vllm is not None
        assert size in str(config.base)


def test_the_two_ways_to_shard_agree_and_their_files_exist() -> None:
    folder = CONFIGS / "accelerate"
    files = {file.stem: yaml.safe_load(file.read_text()) for file in folder.glob("*.yaml")}
    kinds = {name: content["distributed_type"] for name, content in files.items()}
    assert kinds == {
        "fsdp": "FSDP", "fsdp_qwen3_vl": "FSDP", "ddp": "MULTI_GPU", "deepspeed_zero3": "DEEPSPEED",
    }  # fmt: skip
    fsdp, qwen3 = (files[name]["fsdp_config"] for name in ("fsdp", "fsdp_qwen3_vl"))
    assert {name for name in fsdp if fsdp[name] != qwen3[name]} == {"fsdp_transformer_layer_cls_to_wrap"}
    assert {content["num_processes"] for content in files.values()} == {8}
    zero3 = files["deepspeed_zero3"]["deepspeed_config"]["deepspeed_config_file"]
    assert (CONFIGS.parents[1] / zero3).is_file()


def test_the_commands_list_their_settings_and_refuse_unknown_ones() -> None:
    runner = CliRunner()
    for command in ("sft", "gcpo"):
        listed = runner.invoke(app, [command, "--settings"], env={"COLUMNS": "200"})
        assert listed.exit_code == 0
        assert "lora.rank" in listed.output
        refused = runner.invoke(app, [command, "--set", "learning_rate=1"])
        assert refused.exit_code == 2
        assert "learning_rate" in refused.output
        assert "--set" in runner.invoke(app, [command, "--help"]).output
    assert "vllm.mode" in runner.invoke(app, ["gcpo", "--settings"], env={"COLUMNS": "200"}).output
