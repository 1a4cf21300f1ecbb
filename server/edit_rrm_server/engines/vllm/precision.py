"""The precision a checkpoint is served in on a CPU: float32 wherever vLLM has kernels for it."""

import json
from pathlib import Path
from typing import Any

_BFLOAT16_LAYERS = frozenset({"linear_attention"})
"""Gated delta nets (Qwen3-Next, Qwen3.5): seen in 0.31, "CPU GDN attention requires BF16"."""


def cpu_dtype(checkpoint: Path) -> str:
    """bfloat16 for quantised weights and layers that have no kernels in float32, and that for the rest."""
    try:
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "float32"  # what is wrong with it is said by whoever loads it
    parts: list[Any] = [config, *config.values()] if isinstance(config, dict) else []
    for part in parts:
        if isinstance(part, dict) and (
            part.get("quantization_config") or _BFLOAT16_LAYERS.intersection(part.get("layer_types") or ())
        ):
            return "bfloat16"
    return "float32"
