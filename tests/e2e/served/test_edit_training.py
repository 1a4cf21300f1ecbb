"""An optimiser step of each real pipeline, tiny and random, on rewards of the real service."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from service_process import ServiceProcess

from edit_grpo.run.settings import TrainSettings
from edit_grpo.run.training_run import run_training
from edit_rrm_shapes.world.dataset_files import write_dataset
from tiny_pipelines import klein_folder, kontext_folder, qwen_folder, qwen_plus_folder


@pytest.mark.parametrize("algorithm", ["grpo", "diffusion_nft"])
@pytest.mark.parametrize("save_pipeline", [kontext_folder, klein_folder, qwen_folder, qwen_plus_folder])
def test_a_real_pipeline_takes_an_optimiser_step(
    save_pipeline: Callable[[Path], Path], algorithm: str, tmp_path: Path, trained: ServiceProcess
) -> None:
    write_dataset(tmp_path / "edits", seed=2026, count=2, candidate_count=1)
    folder = save_pipeline(tmp_path / "pipeline")
    edits = tmp_path / "edits" / "edits.jsonl"
    values: dict[str, Any] = {
        "out": tmp_path / "run",
        "policy": {"name": str(folder), "lora": {"rank": 2, "alpha": 4, "targets": ["to_q", "to_v"]},
                   "dtype": "float32", "area_pixels": 96 * 96},
        "data": {"edits": [edits], "held_out": edits},
        "sampling": {"group_size": 4, "groups": 2, "steps": 3, "micro_batch": 4},
        # pictures of random weights follow nothing: only probabilities tell them apart
        "algorithm": {"name": algorithm, "std_floor": 1e-9},
        "reward": {"urls": [trained.url], "shape": "soft", "guards": "off"},
        "updates": 1, "grid_every": 1, "grid_edits": 1,
    }  # fmt: skip
    assert run_training(TrainSettings.model_validate(values)) == "finished"
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    (update,) = [line for line in lines if "event" not in line]
    assert update["reward/failed"] == 0
    assert update["groups/trained"] == 2
    assert update["update/grad_norm"] > 0.0
    if algorithm == "grpo":
        assert (update["update/ratio"], update["update/ratio_off"]) == (1.0, 0.0)
    assert (tmp_path / "run" / "final" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "run" / "grids" / "update-0000001.html").is_file()
