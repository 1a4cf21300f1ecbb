"""The tiny model's two sizes, 4 and 1.5 million parameters, and its processor: Qwen2.5-VL's own classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from edit_rrm_shapes.world.render import SIZE

PATCH = 8
MERGE = 2
IMAGE_SIDE = SIZE // PATCH // MERGE
IMAGE_TOKENS = IMAGE_SIDE**2
EMBEDDING_STD = 0.05


Size = Literal["s", "m"]


@dataclass(frozen=True)
class Widths:
    """What tells the sizes apart; text heads are 64 wide and vision heads 32 in both."""

    text_layers: int
    text_hidden: int
    text_mlp: int
    vision_layers: int
    vision_hidden: int
    vision_mlp: int


SIZES: Mapping[Size, Widths] = {
    "s": Widths(4, 128, 384, 3, 96, 192),
    "m": Widths(6, 192, 576, 4, 128, 256),
}


def build_config(tokenizer: Qwen2Tokenizer, size: Size = "m") -> Qwen2_5_VLConfig:
    """The configuration (docs/shapes.md, The model); head sizes and full attention suit vLLM on a CPU."""
    widths = SIZES[size]
    token = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": widths.text_hidden,
            "intermediate_size": widths.text_mlp,
            "num_hidden_layers": widths.text_layers,
            "num_attention_heads": widths.text_hidden // 64,
            "num_key_value_heads": widths.text_hidden // 64,
            "max_position_embeddings": 2048,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 8, 22]},
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": widths.vision_layers,
            "hidden_size": widths.vision_hidden,
            "intermediate_size": widths.vision_mlp,
            "num_heads": widths.vision_hidden // 32,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 112,
            "out_hidden_size": widths.text_hidden,
            "fullatt_block_indexes": list(range(widths.vision_layers)),
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def build_processor(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLProcessor:
    """Qwen2.5-VL's processor for pictures of 96×96 pixels; others are resized to that area."""
    size = {"shortest_edge": SIZE * SIZE, "longest_edge": SIZE * SIZE}
    options = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2, "size": size}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**options),
        video_processor=Qwen2VLVideoProcessor(**options),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
    )


def new_model(
    tokenizer: Qwen2Tokenizer, seed: int, config: Qwen2_5_VLConfig | None = None
) -> Qwen2_5_VLForConditionalGeneration:
    """A randomly initialised model in float32, of `build_config` unless told otherwise.

    transformers draws every weight with a standard deviation of 0.02, which suits widths of thousands.
    At a width of 192 signals all but vanish and attention stays uniform for hundreds of steps, so
    matrices are drawn with 1/√fan_in here, and smaller where they write into the residual stream
    (docs/notes/the-tiny-model.md).
    """
    model = Qwen2_5_VLForConditionalGeneration(config or build_config(tokenizer))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                continue
            std = weight[0].numel() ** -0.5
            if "embed_tokens" in name:
                std = EMBEDDING_STD
            elif name.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight")):
                std *= 0.25
            elif name.endswith("merger.mlp.2.weight"):
                std *= 0.5
            weight.normal_(0.0, std, generator=generator)
    return model


def save_servable(
    model: Qwen2_5_VLForConditionalGeneration, tokenizer: Qwen2Tokenizer, directory: Path, dtype: torch.dtype
) -> None:
    """Writes weights in `dtype`, configuration, tokenizer and processor as any server loads them."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().to(dtype) for name, tensor in model.state_dict().items()}
    model.save_pretrained(directory, state_dict=weights)
    for file in directory.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes them for the owner alone
    build_processor(tokenizer).save_pretrained(directory)
