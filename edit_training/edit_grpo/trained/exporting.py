"""A trained editor as diffusers itself loads it: weights for `load_lora_weights`, or a whole pipeline.

The adapters' scale, alpha / rank, is multiplied into the weights and alpha is the rank in what is written: a
reader that knows no alpha, as many do not, sees the same editor.
"""

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file

from edit_grpo.errors import CheckpointError, ExportError
from edit_grpo.policies.loading import load_policy, pipeline_class
from edit_grpo.policies.policy import EditPolicy
from edit_grpo.run.checkpointing import WEIGHTS
from edit_grpo.trained.finding import ADAPTER, FoundEditor

Kind = Literal["lora", "pipeline"]
_PREFIX = "base_model.model."  # of what PEFT saves
_KEY = re.compile(r"(?P<module>.+)\.lora_(?P<half>[AB])\.weight")
_BEYOND_LORA = ("use_dora", "modules_to_save", "lora_bias", "trainable_token_indices")


def export_editor(
    found: FoundEditor, out: Path, *, last: bool = False, dtype: torch.dtype | None = None
) -> Kind:
    """Writes the editor into the new folder `out`, whole or not at all, and says in which form.

    `last`: the weights after the last update, where the run saved their moving average for use. `dtype` is
    that of what is written; the trained one if None. Raises ExportError, CheckpointError and PolicyError.
    """
    if found.lora is not None:
        raise ExportError(f"{found.lora} holds what diffusers loads already")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out} is there already; choose another --out")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        kind = _export(found, partial, last, dtype)
        if out.exists():
            out.rmdir()
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return kind


def _export(found: FoundEditor, out: Path, last: bool, dtype: torch.dtype | None) -> Kind:
    if last:
        policy = _at_last_update(found)
        if found.policy.adapter is None:
            policy.save(out)
            return "pipeline"
        adapter = out / "adapter"
        policy.save(adapter)
        _write_lora(adapter, found.policy.name, out, dtype)
        shutil.rmtree(adapter)
        return "lora"
    if found.policy.adapter is not None:
        _write_lora(found.policy.adapter, found.policy.name, out, dtype)
        return "lora"
    load_policy(found.policy, keep_reference=False).save(out)
    return "pipeline"


def _write_lora(adapter: Path, base: str, out: Path, dtype: torch.dtype | None) -> None:
    """PEFT's adapter folder in diffusers' layout, by the class of the base, which is not loaded."""
    kind: Any = getattr(diffusers, pipeline_class(base), None)
    if not hasattr(kind, "save_lora_weights"):
        raise ExportError(f"{pipeline_class(base)}, the class of {base}, takes no LoRA weights")
    weights, config = _adapter(adapter)
    layers = {name: weight.to(dtype or weight.dtype).contiguous() for name, weight in weights.items()}
    kind.save_lora_weights(str(out), transformer_lora_layers=layers, transformer_lora_adapter_metadata=config)


def _adapter(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights by the transformer's own names, with their scale in them, and their configuration then."""
    try:
        config = LoraConfig(**_known(json.loads((folder / ADAPTER).read_text(encoding="utf-8"))))
        saved = load_file(str(folder / "adapter_model.safetensors"))
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} holds no LoRA adapter that can be read: {error}") from error
    beyond = [name for name in _BEYOND_LORA if getattr(config, name, None)]
    if beyond:
        raise ExportError(f"{folder} is more than LoRA ({beyond[0]}), which load_lora_weights does not read")
    weights, ranks = {}, {}
    for key, weight in saved.items():
        match = _KEY.fullmatch(key.removeprefix(_PREFIX))
        if match is None:
            raise ExportError(f"{folder} holds {key!r}, which is no LoRA weight")
        if match["half"] == "A":
            ranks[match["module"]] = weight.shape[0]
            weights[match[0]] = weight
        else:
            weights[match[0]] = weight * _scale(config, match["module"], weight.shape[1])
    if not ranks:
        raise ExportError(f"{folder} holds no LoRA weight")
    return weights, _plain_config(ranks)


def _scale(config: LoraConfig, module: str, rank: int) -> float:
    """What PEFT multiplies an adapter by."""
    patterns = config.alpha_pattern or {}
    pattern = next((each for each in patterns if re.fullmatch(rf"(.*\.)?({each})", module)), None)
    alpha = config.lora_alpha if pattern is None else patterns[pattern]
    return float(alpha) / (math.sqrt(rank) if config.use_rslora else rank)


def _plain_config(ranks: Mapping[str, int]) -> dict[str, Any]:
    """The arguments of the LoraConfig of weights that are scaled already: alpha is the rank, everywhere."""
    usual = Counter(ranks.values()).most_common(1)[0][0]
    others = {re.escape(module): rank for module, rank in ranks.items() if rank != usual}
    return {
        "r": usual, "lora_alpha": usual, "rank_pattern": others, "alpha_pattern": dict(others),
        "target_modules": sorted(ranks), "lora_dropout": 0.0, "bias": "none",
    }  # fmt: skip


def _known(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a saved configuration that LoraConfig takes. Raises ValueError for another kind."""
    if config.get("peft_type") != "LORA":
        raise ValueError(f"its peft_type is {config.get('peft_type')!r}")
    fields = LoraConfig.__dataclass_fields__
    return {name: value for name, value in config.items() if name in fields and fields[name].init}


def _at_last_update(found: FoundEditor) -> EditPolicy:
    """The editor with the weights that the newest checkpoint trains on with. Raises CheckpointError."""
    if found.checkpoint is None:
        raise CheckpointError(
            "the weights of the last update are in a run's checkpoints: give one, or the run"
        )
    policy = load_policy(found.policy, keep_reference=False)
    parameters = policy.trainable()
    try:
        saved = load_file(str(found.checkpoint / WEIGHTS))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{found.checkpoint} cannot be read: {error}") from error
    with torch.no_grad():
        for number, parameter in enumerate(parameters):
            weight = saved.get(f"parameter.{number}")
            if weight is None or weight.shape != parameter.shape:
                raise CheckpointError(f"{found.checkpoint} is not of this editor: parameter {number} differs")
            parameter.copy_(weight)
    return policy
