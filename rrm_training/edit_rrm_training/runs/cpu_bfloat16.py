"""What makes bfloat16 pay on a CPU that has it: under autocast two operations of Qwen2.5-VL stay in float32.

With AMX a product of matrices is several times faster in bfloat16, while attention's backward pass and the
gradient of the patches' convolution are slower (benchmarks/sft_step.py has the seconds). On a CPU without
bfloat16 among its instructions nothing is gained and much is lost (research/bfloat16_products.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, Qwen2_5_VLForConditionalGeneration
from transformers.masking_utils import sdpa_mask
from transformers.modeling_layers import GradientCheckpointingLayer

from edit_rrm.cpu import has_bfloat16

FLOAT32_ATTENTION = "sdpa_float32"


def computes_in_bfloat16(dtype: str) -> bool:
    """Whether a run that asks for `dtype` computes in bfloat16 here; where nothing has it, float32 it is."""
    if torch.cuda.is_available():
        here: bool = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        here = has_bfloat16(torch.cpu.get_capabilities())
    return dtype == "bfloat16" and here


def fast_on_cpu(wanted: bool) -> torch.autocast:
    """Within, a CPU that has bfloat16 computes in it, if that is wanted."""
    enabled = wanted and has_bfloat16(torch.cpu.get_capabilities())
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)


def _attention(
    module: nn.Module,
    query: torch.Tensor,  # [batch, heads, queries, head size]
    key: torch.Tensor,  # [batch, key heads, keys, head size]
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    causal = attention_mask is None and query.shape[2] > 1
    if torch.is_grad_enabled():
        query, key, value = query.float(), key.float(), value.float()
    with torch.autocast("cpu", enabled=False):
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask,
            scale=scaling, is_causal=causal, enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
    return mixed.transpose(1, 2).contiguous(), None


AttentionInterface.register(FLOAT32_ATTENTION, _attention)
AttentionMaskInterface.register(FLOAT32_ATTENTION, sdpa_mask)


def keep_slow_operations_in_float32(model: Qwen2_5_VLForConditionalGeneration) -> None:
    """Text attention, where there are gradients, and the patches' convolution compute in float32."""
    model.model.language_model.config._attn_implementation = FLOAT32_ATTENTION
    patches = model.model.visual.patch_embed
    forward = patches.forward

    def in_float32(pixels: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            embedded: torch.Tensor = forward(pixels.float())
        return embedded

    patches.forward = in_float32


def compile_layers(model: nn.Module) -> None:
    """Compiles the layers of every tower for any batch and length, on a GPU as well."""
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True)


@contextmanager
def weights_in(dtype: torch.dtype, model: nn.Module) -> Iterator[None]:
    """Lends the model weights of another type. Under autocast a cache of float32 keys is read twice: to cast
    it, and to attend; with bfloat16 weights it is half as large and read once."""
    kept = [(parameter, parameter.data) for parameter in model.parameters()]
    try:
        for parameter, data in kept:
            parameter.data = data.to(dtype)
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data
