"""Two steps of GCPO whose rollouts are drawn by the real vLLM in the same process, on a CPU.

    python colocated_vllm.py BASE WORK

WORK/pairs.jsonl has the pairs; leaves WORK/run. On a CPU vLLM packs the weights of linear layers when it
loads them, and cannot take others afterwards: here it is kept from that. Else everything is what a GPU runs.
"""

import os
import sys
from pathlib import Path

import torch
from vllm.model_executor.layers import utils

from edit_rrm_training.gcpo.run import run_gcpo
from edit_rrm_training.runs.settings import GcpoConfig, RrmLora, VllmSettings


def _unpacked(layer: torch.nn.Module, remove_weight: bool) -> None:
    layer.cpu_linear = torch.nn.functional.linear


def main(base: Path, work: Path) -> None:
    """See the module."""
    utils.dispatch_cpu_unquantized_gemm = _unpacked
    one_process = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    os.environ.update(one_process)
    torch.set_num_threads(1)
    pairs = work / "pairs.jsonl"
    config = GcpoConfig(
        base=base, out=work / "run", pairs=pairs, validation_pairs=pairs, eval_every=2, save_every=2,
        steps=2, traces=2, pairs_per_step=2, batch_per_device=8, max_trace_tokens=200, lr=1e-3,
        dtype="float32", gradient_checkpointing=False, equal_images=True, workers=0, share_prompts=True,
        lora=RrmLora(rank=4, alpha=8),
        vllm=VllmSettings(gpu_memory=0.2, max_model_tokens=1024, sleep=False),
    )  # fmt: skip
    run_gcpo(config)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
