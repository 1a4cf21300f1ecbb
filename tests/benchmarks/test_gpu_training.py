"""The script that is prepared for a GPU: its numbers are the published ones, and all of it runs, small."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_training
import pytest

BENCHMARKS = Path(gpu_training.__file__).parent
pytestmark = pytest.mark.slow


def layers(sizes: Any) -> list[int]:
    return [sizes.transformer[name] for name in sizes.layers]


def test_the_models_have_as_many_parameters_as_those_that_were_published() -> None:
    import torch
    from rig.drawn_models import drawn_on, parameters, transformer_of, vlm, vlm_tokenizer
    from rig.published import KONTEXT, QWEN_3B, QWEN_7B, QWEN_IMAGE

    with drawn_on("meta", torch.float32):
        assert parameters(transformer_of(KONTEXT)) == 11_901_408_320
        assert parameters(transformer_of(QWEN_IMAGE)) == 20_430_401_088
        tokenizer = vlm_tokenizer()
        assert parameters(vlm(QWEN_3B, tokenizer)) == 3_754_622_976
        assert parameters(vlm(QWEN_7B, tokenizer)) == 8_292_166_656


def test_an_editor_gets_the_layers_that_there_is_room_for() -> None:
    """60 layers of 20.43 billion parameters are 40.9 GB in bfloat16, about 0.68 GB each."""
    from rig.drawn_models import layers_that_fit
    from rig.published import KONTEXT, QWEN_IMAGE

    assert layers(layers_that_fit(QWEN_IMAGE, 41e9, 2)) == [60]
    assert layers(layers_that_fit(QWEN_IMAGE, 30e9, 2)) == [42]
    assert layers(layers_that_fit(QWEN_IMAGE, 1e9, 2)) == [6]
    assert layers(layers_that_fit(KONTEXT, 24e9, 2)) == [19, 38]


def test_the_inner_part_of_a_step_is_not_the_outer_one_s() -> None:
    from rig.phases import REST, Phases

    phases = Phases()
    with phases.of("outer"), phases.of("inner"):
        pass
    phases.end_step()
    (step,) = phases.steps
    assert step.keys() == {"outer", "inner", REST}
    assert all(seconds >= 0.0 for seconds in step.values())
    assert step["outer"] + step["inner"] == pytest.approx(
        sum(phases.seconds["outer"] + phases.seconds["inner"])
    )


def test_a_part_that_takes_too_long_is_ended_and_says_so(tmp_path: Path) -> None:
    found = gpu_training.run_part("sft", tmp_path, 0.2, ["--steps", "1", "--tiny"])
    assert found.keys() == {"part", "took_s", "failed"}
    assert found["failed"] == "not done after 0 s"


def test_a_part_that_fails_says_where_to_look(tmp_path: Path) -> None:
    found = gpu_training.run_part("no-such-part", tmp_path, 120.0, ["--steps", "1", "--tiny"])
    assert found["failed"] == "exit code 1: see no-such-part.log"
    assert "no-such-part" in (tmp_path / "no-such-part.log").read_text(encoding="utf-8")


def test_every_part_runs_small_on_a_cpu(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gpu_training.py"), "--tiny", "--steps", "1",
         "--out", str(tmp_path), "--budget-s", "480"],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    logs = {file.name: file.read_text(encoding="utf-8")[-1500:] for file in tmp_path.glob("*.log")}
    assert done.returncode == 0, (done.stdout, logs)
    parts = json.loads((tmp_path / "gpu_training.json").read_text(encoding="utf-8"))["parts"]
    assert [each["part"] for each in parts] == ["sft", "gcpo", "kontext", "qwen-image-edit"]
    update = {"forward", "backward", "optimizer", "preprocess", "rest"}
    assert parts[0]["seconds"].keys() == update
    assert parts[1]["seconds"].keys() == update | {"rollout"}
    for each in parts[2:]:
        assert each["seconds"].keys() == update | {"rollout", "reference", "decode"}
    for each in parts:
        assert each["steps"] == 1
        assert each["device"] == "cpu"
        assert sum(each["seconds"].values()) == pytest.approx(each["seconds_a_step"])
        assert each["what"] in " ".join(done.stdout.split())
