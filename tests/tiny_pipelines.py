"""Pipelines of random weights, of the very classes that the editors which can be trained are made of."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    FluxTransformer2DModel,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from PIL import Image
from tokenizers import pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
)

from edit_rrm_shapes.tiny_editor.pipeline import word_tokenizer

INSTRUCTIONS = ["make the red circle blue", "remove the star"]


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    """A picture of coloured noise for each (width, height)."""
    generator = torch.Generator().manual_seed(5)
    return [
        Image.fromarray(
            torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=generator).numpy()
        )
        for width, height in sizes
    ]


def kontext_folder(directory: Path) -> Path:
    """A FluxKontextPipeline whose tokens are 4×4 pixels, saved as `save_pretrained` does."""
    torch.manual_seed(0)
    tokenizer = word_tokenizer(INSTRUCTIONS)
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15),
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, use_quant_conv=False,
            use_post_quant_conv=False, scaling_factor=1.5, shift_factor=0.1,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                num_attention_heads=2, max_position_embeddings=26, **special,
            )
        ),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(
            T5Config(
                vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4, **special,
            )
        ),
        tokenizer_2=tokenizer,
        transformer=FluxTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=32, pooled_projection_dim=16, guidance_embeds=True, axes_dims_rope=(4, 6, 6),
        ),
    ).save_pretrained(str(directory))  # fmt: skip
    return directory


def qwen_folder(directory: Path) -> Path:
    """A QwenImageEditPipeline whose tokens are 4×4 pixels and whose text has one token a byte."""
    return _saved_qwen(QwenImageEditPipeline, directory)


def qwen_plus_folder(directory: Path, *, zero_cond_t: bool = False) -> Path:
    """A QwenImageEditPlusPipeline of the same parts; as 2511, with `zero_cond_t`, sources are never noisy."""
    return _saved_qwen(QwenImageEditPlusPipeline, directory, zero_cond_t)


def klein_folder(directory: Path, *, distilled: bool = False) -> Path:
    """A Flux2KleinPipeline whose tokens are 4×4 pixels; its encoder has the 28 layers that are read."""
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer()
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
        "{% endfor %}<|im_start|>assistant\n"
    )
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, layers_per_block=1,
    )  # fmt: skip
    vae.bn.running_mean.copy_(torch.linspace(-0.2, 0.3, 16))
    vae.bn.running_var.copy_(torch.linspace(0.5, 2.0, 16))
    Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae.eval(),
        text_encoder=Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=28,
                num_attention_heads=2, num_key_value_heads=1, head_dim=8,
                bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            )
        ).eval(),
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=48, timestep_guidance_channels=16, axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=distilled,
    ).save_pretrained(str(directory))  # fmt: skip
    return directory


def _saved_qwen(kind: Any, directory: Path, zero_cond_t: bool = False) -> Path:
    torch.manual_seed(0)
    tokenizer = _byte_tokenizer()
    size = {"shortest_edge": 1024, "longest_edge": 4096}
    patches = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2, "size": size}
    kind(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, base_image_seq_len=256,
            max_image_seq_len=8192, shift_terminal=0.02, time_shift_type="exponential",
        ),
        vae=AutoencoderKLQwenImage(
            base_dim=8, z_dim=4, dim_mult=[1, 2], num_res_blocks=1, temperal_downsample=[False],
            latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 0.5, 1.0, 2.0],
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(_qwen_config(tokenizer)).eval(),
        tokenizer=tokenizer,
        processor=Qwen2VLProcessor(
            image_processor=Qwen2VLImageProcessor(**patches), tokenizer=tokenizer,
            video_processor=Qwen2VLVideoProcessor(**patches), chat_template="unused",
        ),
        transformer=QwenImageTransformer2DModel(
            in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=64, axes_dims_rope=(4, 6, 6), zero_cond_t=zero_cond_t,
        ),
    ).save_pretrained(str(directory))  # fmt: skip
    return directory


def _byte_tokenizer() -> Qwen2Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    control = [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
        "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    ]  # fmt: skip
    tokenizer = Qwen2Tokenizer(
        vocab={byte: number for number, byte in enumerate(alphabet)}, merges=[],
        eos_token="<|im_end|>", pad_token="<|endoftext|>",
    )  # fmt: skip
    tokenizer.add_special_tokens({"additional_special_tokens": control})
    return tokenizer


def _qwen_config(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    token = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
            "bos_token_id": None, "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "patch_size": 8,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112, "out_hidden_size": 64,
            "fullatt_block_indexes": [0],
        },
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
    )  # fmt: skip
