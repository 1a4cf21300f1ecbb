"""The numbers of published architectures, from their own config files, and small ones of the same kinds.

Weights are drawn, not loaded: what a step costs depends on shapes alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class VlmSizes:
    """A Qwen2.5-VL: of the text's model, of the vision tower."""

    name: str
    text: Numbers
    vision: Numbers
    tied: bool
    """Whether input and output embeddings are one matrix."""
    patch: int


@dataclass(frozen=True)
class EditorSizes:
    """An editor: its transformer, whose counts of `layers` may be lowered, and the parts around it."""

    name: str
    transformer: Numbers
    layers: tuple[str, ...]
    vae: Numbers
    vlm: VlmSizes | None = None
    """The text encoder of Qwen-Image-Edit."""
    clip: Numbers | None = None
    t5: Numbers | None = None
    """The two of FLUX.1-Kontext."""


def _vlm(name: str, text: tuple[int, int, int, int, int], vocabulary: int, tied: bool) -> VlmSizes:
    hidden, mlp, layers, heads, groups = text
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    return VlmSizes(
        name,
        {
            "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": mlp,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": groups,
            "max_position_embeddings": 128_000, "rms_norm_eps": 1e-6, "rope_parameters": rope,
        },
        {
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14,
            "window_size": 112, "out_hidden_size": hidden, "fullatt_block_indexes": [7, 15, 23, 31],
        },
        tied,
        14,
    )  # fmt: skip


QWEN_3B = _vlm("Qwen2.5-VL-3B", (2048, 11008, 36, 16, 2), 151_936, True)
QWEN_7B = _vlm("Qwen2.5-VL-7B", (3584, 18944, 28, 28, 4), 152_064, False)
TINY_VLM = VlmSizes(
    "a tiny Qwen2.5-VL",
    {
        "vocab_size": 1024, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
    },
    {
        "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "patch_size": 8,
        "window_size": 112, "out_hidden_size": 64, "fullatt_block_indexes": [0],
    },
    True,
    8,
)  # fmt: skip

KONTEXT = EditorSizes(
    "FLUX.1-Kontext",
    {
        "patch_size": 1, "in_channels": 64, "num_layers": 19, "num_single_layers": 38,
        "attention_head_dim": 128, "num_attention_heads": 24, "joint_attention_dim": 4096,
        "pooled_projection_dim": 768, "guidance_embeds": True, "axes_dims_rope": (16, 56, 56),
    },
    ("num_layers", "num_single_layers"),
    {
        "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 16,
        "norm_num_groups": 32, "scaling_factor": 0.3611, "shift_factor": 0.1159,
        "use_quant_conv": False, "use_post_quant_conv": False,
    },
    clip={
        "vocab_size": 49_408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "max_position_embeddings": 77,
    },
    t5={
        "vocab_size": 32_128, "d_model": 4096, "d_kv": 64, "d_ff": 10_240, "num_layers": 24, "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    },
)  # fmt: skip
TINY_KONTEXT = EditorSizes(
    "a tiny FLUX.1-Kontext",
    {
        "patch_size": 1, "in_channels": 16, "num_layers": 1, "num_single_layers": 2, "attention_head_dim": 16,
        "num_attention_heads": 2, "joint_attention_dim": 32, "pooled_projection_dim": 16,
        "guidance_embeds": True, "axes_dims_rope": (4, 6, 6),
    },
    ("num_layers", "num_single_layers"),
    {
        "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (8, 8), "latent_channels": 4, "norm_num_groups": 4, "scaling_factor": 1.5,
        "shift_factor": 0.1, "use_quant_conv": False, "use_post_quant_conv": False,
    },
    clip={
        "vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 77,
    },
    t5={"vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 4},
)  # fmt: skip

QWEN_IMAGE = EditorSizes(
    "Qwen-Image-Edit",
    {
        "patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 60, "attention_head_dim": 128,
        "num_attention_heads": 24, "joint_attention_dim": 3584, "axes_dims_rope": (16, 56, 56),
    },
    ("num_layers",),
    {
        "base_dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2,
        "temperal_downsample": [False, True, True],
    },
    vlm=QWEN_7B,
)  # fmt: skip
TINY_QWEN_IMAGE = EditorSizes(
    "a tiny Qwen-Image-Edit",
    {
        "patch_size": 2, "in_channels": 16, "out_channels": 4, "num_layers": 2, "attention_head_dim": 16,
        "num_attention_heads": 2, "joint_attention_dim": 64, "axes_dims_rope": (4, 6, 6),
    },
    ("num_layers",),
    {
        "base_dim": 8, "z_dim": 4, "dim_mult": [1, 2], "num_res_blocks": 1, "temperal_downsample": [False],
        "latents_mean": [0.1, -0.2, 0.3, 0.0], "latents_std": [1.5, 0.5, 1.0, 2.0],
    },
    vlm=TINY_VLM,
)  # fmt: skip
