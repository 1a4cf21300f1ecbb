"""Two optimiser steps of each given configuration, from its own files, on CPU processes.

    python -m torch.distributed.run --nproc-per-node 2 dry_run.py BASE WORK CONFIG...

The models have the class of the real ones and random weights; their noise is read by a profile that finds
scores in it. What a CPU cannot do is replaced: bfloat16 by float32 and vLLM's rollouts by transformers'.
accelerate shards on GPUs alone; here it is told that these processes are such, and then uses its own FSDP
path on them, over gloo.
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState, DistributedType, PartialState
from any_text import AnyText

from edit_rrm_training.gcpo import run as gcpo_run
from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.runs.settings import GcpoConfig, SftConfig, load_config
from edit_rrm_training.sft.run import run_sft

_init = AcceleratorState.__init__


def _shard_on_cpus(self: AcceleratorState, *args: Any, **kwargs: Any) -> None:
    if "fsdp_plugin" not in AcceleratorState._shared_state:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    _init(self, *args, **kwargs)


def main(base: Path, work: Path, files: list[Path]) -> None:
    """Runs them in turn on WORK/rows.jsonl and WORK/pairs.jsonl; each leaves WORK/<name>/final."""
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        AcceleratorState.__init__ = _shard_on_cpus
    torch.set_num_threads(1)
    gcpo_run.get_profile = lambda name: AnyText()
    small: dict[str, Any] = {"base": base, "steps": 2, "dtype": "float32", "log_every": 1, "workers": 0}
    for file in files:
        small["out"] = work / file.stem
        if file.stem.startswith("sft"):
            rows = [work / "rows.jsonl"]
            given = {
                **small, "rows": rows, "validation_rows": rows, "batch_per_device": 2, "accumulate": 1,
            }  # fmt: skip
            run_sft(load_config(SftConfig, file, given))
            continue
        pairs = work / "pairs.jsonl"
        given = {
            **small, "pairs": pairs, "validation_pairs": pairs, "eval_every": 2, "save_every": 2,
            "eval_batch": 4, "traces": 2, "pairs_per_step": 2, "batch_per_device": 4, "max_trace_tokens": 8,
            "vllm": None,
        }  # fmt: skip
        run_gcpo(load_config(GcpoConfig, file, given))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
