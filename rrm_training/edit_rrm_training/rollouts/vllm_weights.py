"""The weights a vLLM of TRL's draws with: the policy's, handed over without touching the policy's own.

TRL merges adapters into the base's weights in place and takes them out again, at every synchronisation. In
bfloat16 both round, the base wanders off, and at the end the adapters are merged into a base they were not
trained on (TRL issue 6688). Here a merged copy is made of one weight after another.

TRL then has vLLM forget its prefixes and keep what its vision tower made of each picture, with weights that
are no longer (TRL issue 7198). Here it forgets both.
"""

from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

_BASE = ".base_layer"


def merged_weights(model: PeftModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Every weight of the base under its own name, with its adapters' share where it has any.

    A merged one is new, W + ΔW in float32 rounded once; the others are the model's own.
    """
    plain = model.get_base_model()
    for name, parameter in plain.named_parameters():
        if model.prefix in name:
            continue
        owner = name.rpartition(_BASE)[0]
        layer = plain.get_submodule(owner) if owner else None
        weight = parameter.data
        if isinstance(layer, LoraLayer) and name.endswith(f"{_BASE}.weight"):
            change = sum(layer.get_delta_weight(adapter).float() for adapter in layer.active_adapters)
            weight = (weight.float() + change).to(weight.dtype)
        yield name.replace(_BASE, ""), weight


def hand_over_safely(generation: Any) -> None:
    """Makes a trainer's `VLLMGeneration` read `merged_weights` and forget pictures.

    Sharded adapters (FSDP, ZeRO-3) are left to TRL: a merged weight would need its shards gathered.
    """
    model = generation.model
    sharded = generation._dist.is_fsdp or generation._dist.is_zero3
    if isinstance(model, PeftModel) and not sharded:
        named = generation._fix_param_name_to_vllm

        def weights() -> Iterator[tuple[str, torch.Tensor]]:
            return ((named(name), weight) for name, weight in merged_weights(model))

        generation._iter_named_params = weights
    synchronise = generation.sync_weights

    def synchronise_and_forget() -> None:
        synchronise()
        if generation.mode == "colocate":
            generation.llm.llm_engine.reset_encoder_cache()
        elif generation.accelerator.is_main_process:
            client = generation.vllm_client
            client.session.post(f"{client.base_url}/reset_encoder_cache").raise_for_status()

    generation.sync_weights = synchronise_and_forget
