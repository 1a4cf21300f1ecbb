"""The configurations for 3B, 7B and 8B, run small: same files, same classes, two CPU processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from edit_rrm.checkpoint import read_card
from families.checkpoints import save_family
from shapes_rows import pair, verify_row, write_lines

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIGS = ROOT / "rrm_training" / "configs"
PYTHONPATH = os.pathsep.join(str(ROOT / folder) for folder in ("rrm", "rrm_training", "tests/rrm_training"))


@pytest.mark.parametrize(
    ("sharing", "size", "method"),
    [
        ("fsdp", "[37]b", "full"),
        ("ddp", "[37]b", "lora"),
        ("fsdp_qwen3_vl", "qwen3vl_8b", "full"),
        ("ddp", "qwen3vl_8b", "lora"),
    ],
)
def test_two_processes_take_two_steps_from_the_files_of(
    sharing: str, size: str, method: str, untrained: Path, tmp_path: Path
) -> None:
    """The environment is what `accelerate launch` makes of its file, with two processes and no bfloat16."""
    arguments = launch_command_parser().parse_args(
        ["--config_file", str(CONFIGS / "accelerate" / f"{sharing}.yaml"), "--num_processes", "2",
         "--mixed_precision", "no", "--main_process_port", "0", "dry_run.py"]
    )  # fmt: skip
    arguments, _, _ = _validate_launch_command(arguments)
    environment = prepare_multi_gpu_env(arguments)
    files = sorted(CONFIGS.glob(f"*_{size}_*{method}.yaml"))
    qwen3 = size == "qwen3vl_8b"
    assert len(files) == (2 if qwen3 else {"full": 4, "lora": 5}[method])
    base = save_family("qwen3_vl", tmp_path / "base") if qwen3 else untrained
    write_lines(tmp_path / "rows.jsonl", [verify_row(index) for index in range(16)])
    write_lines(tmp_path / "pairs.jsonl", [pair(index) for index in range(4)])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
         "--master-port", str(arguments.main_process_port), str(HERE / "dry_run.py"),
         str(base), str(tmp_path), *map(str, files)],
        env={**environment, "PYTHONPATH": PYTHONPATH, "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1",
             "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    for file in files:
        lines = [json.loads(line) for line in (tmp_path / file.stem / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines if "loss" in line] == [1, 2]
        assert read_card(tmp_path / file.stem / "final").training["stage"] == file.stem.partition("_")[0]
        if file.stem.startswith("gcpo"):
            assert ("gcpo/expected_reward" in lines[0]) == ("all_scores" in file.stem)
            assert [line["eval_pairs"] for line in lines if "eval_pairs" in line] == [4]


def test_deepspeed_s_file_leaves_to_the_run_what_the_run_decides() -> None:
    """DeepSpeed itself is not run here: its file is checked for what transformers fills in."""
    zero3 = json.loads((CONFIGS / "accelerate" / "zero3.json").read_text())
    assert zero3["zero_optimization"]["stage"] == 3
    assert zero3["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True
    auto = (
        "gradient_accumulation_steps", "gradient_clipping",
        "train_batch_size", "train_micro_batch_size_per_gpu",
    )  # fmt: skip
    assert all(zero3[name] == "auto" for name in auto)
    assert zero3["bf16"]["enabled"] == "auto"
    outer = yaml.safe_load((CONFIGS / "accelerate" / "deepspeed_zero3.yaml").read_text())
    assert outer["deepspeed_config"].keys() == {"deepspeed_config_file", "zero3_init_flag"}
