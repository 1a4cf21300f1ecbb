"""Models of given sizes with drawn weights: checkpoints of an RRM, pipelines of editors. No file is fetched.

Tokenizers are the miniature's or one of bytes: their ids are the first few of a vocabulary of full size.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxTransformer2DModel,
    QwenImageEditPipeline,
    QwenImageTransformer2DModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    T5Config,
    T5EncoderModel,
)

from edit_rrm.checkpoint import RRMCard, write_card
from edit_rrm_shapes.tiny_editor.pipeline import word_tokenizer
from edit_rrm_shapes.tiny_rrm.tokenizer import CONTROL_TOKENS, build_tokenizer
from rig.published import EditorSizes, VlmSizes

INSTRUCTION = "make the red circle blue"
LONGEST_TEXT = 32_768
CORPUS = 600
"""Samples that the tokenizer is made of: enough for every byte and the commonest words."""


@contextmanager
def drawn_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Within it, what is built has its weights there and of that type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def parameters(module: torch.nn.Module) -> int:
    """How many numbers it has."""
    return sum(weight.numel() for weight in module.parameters())


def vlm_tokenizer() -> Qwen2Tokenizer:
    """The miniature's, for texts of any length."""
    tokenizer = build_tokenizer(corpus_size=CORPUS)
    tokenizer.model_max_length = LONGEST_TEXT
    return tokenizer


def control_ids(tokenizer: Qwen2Tokenizer) -> list[int]:
    """Tokens that noise must not write: those of pictures mean pictures, and the ends are ends."""
    ids: list[int] = tokenizer.convert_tokens_to_ids(list(CONTROL_TOKENS))
    return ids


def vlm_processor(sizes: VlmSizes, tokenizer: Qwen2Tokenizer, side: int) -> Qwen2_5_VLProcessor:
    """Its processor; pictures are brought to about `side`² pixels at most."""
    size = {"shortest_edge": (4 * sizes.patch) ** 2, "longest_edge": side * side}
    options = {"patch_size": sizes.patch, "merge_size": 2, "temporal_patch_size": 2, "size": size}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**options), video_processor=Qwen2VLVideoProcessor(**options),
        tokenizer=tokenizer, chat_template=tokenizer.chat_template,
    )  # fmt: skip


def vlm(sizes: VlmSizes, tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    """The model, on the device and of the type of the moment."""
    token = tokenizer.convert_tokens_to_ids
    ends = {"bos_token_id": None, "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>")}
    config = Qwen2_5_VLConfig(
        text_config={**sizes.text, "tie_word_embeddings": sizes.tied, **ends},
        vision_config={**sizes.vision, "spatial_merge_size": 2, "temporal_patch_size": 2},
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=sizes.tied,
    )  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(config)


def save_rrm(sizes: VlmSizes, directory: Path, side: int, device: str, dtype: torch.dtype) -> int:
    """Writes a checkpoint that `edit-rrm-train` takes as its base; returns its number of parameters."""
    tokenizer = vlm_tokenizer()
    with drawn_on(device, dtype):
        model = vlm(sizes, tokenizer)
    model.save_pretrained(directory)
    vlm_processor(sizes, tokenizer, side).save_pretrained(directory)
    card = RRMCard(name="drawn", profile="trained", trace_format="1", max_image_side=side)
    write_card(directory, card)
    return parameters(model)


def transformer_of(sizes: EditorSizes) -> FluxTransformer2DModel | QwenImageTransformer2DModel:
    """What is trained of an editor, on the device and of the type of the moment."""
    kind = FluxTransformer2DModel if sizes.vlm is None else QwenImageTransformer2DModel
    return kind(**sizes.transformer)


def pipeline_of(sizes: EditorSizes, area: int, device: str, dtype: torch.dtype) -> Any:
    """The whole pipeline, as diffusers loads it."""
    with drawn_on(device, dtype):
        return _qwen(sizes, area) if sizes.vlm is not None else _kontext(sizes)


def with_fewer_layers(sizes: EditorSizes, share: float) -> EditorSizes:
    """A share of the layers, one at least of each kind."""
    fewer = {name: max(1, math.floor(sizes.transformer[name] * share)) for name in sizes.layers}
    return replace(sizes, transformer={**sizes.transformer, **fewer})


def layers_that_fit(sizes: EditorSizes, free_bytes: float, bytes_a_parameter: int) -> EditorSizes:
    """As many layers as there is room for, in tenths; the first tenth is tried whether or not it fits."""
    for tenths in range(10, 1, -1):
        fewer = with_fewer_layers(sizes, tenths / 10)
        with drawn_on("meta", torch.float32):
            count = parameters(transformer_of(fewer))
        if count * bytes_a_parameter <= free_bytes:
            return fewer
    return with_fewer_layers(sizes, 0.1)


def _kontext(sizes: EditorSizes) -> FluxKontextPipeline:
    first, second = word_tokenizer([INSTRUCTION]), word_tokenizer([INSTRUCTION])
    first.model_max_length, second.model_max_length = 77, 512
    special = {"pad_token_id": first.pad_token_id, "eos_token_id": first.eos_token_id}
    return FluxKontextPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15,
            base_image_seq_len=256, max_image_seq_len=4096,
        ),
        vae=AutoencoderKL(**sizes.vae),
        text_encoder=CLIPTextModel(CLIPTextConfig(**(sizes.clip or {}), **special)),
        tokenizer=first,
        text_encoder_2=T5EncoderModel(T5Config(**(sizes.t5 or {}), **special)),
        tokenizer_2=second,
        transformer=transformer_of(sizes),
    )  # fmt: skip


def _qwen(sizes: EditorSizes, area: int) -> QwenImageEditPipeline:
    if sizes.vlm is None:
        raise ValueError(f"{sizes.name} has no vision-language encoder")
    tokenizer = vlm_tokenizer()
    pipeline = QwenImageEditPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, base_image_seq_len=256,
            max_image_seq_len=8192, shift_terminal=0.02, time_shift_type="exponential",
        ),
        vae=AutoencoderKLQwenImage(**sizes.vae),
        text_encoder=vlm(sizes.vlm, tokenizer),
        tokenizer=tokenizer,
        processor=vlm_processor(sizes.vlm, tokenizer, math.isqrt(area)),
        transformer=transformer_of(sizes),
    )  # fmt: skip
    # What the pipeline drops of its template is the system's text, in tokens of the published tokenizer.
    system = pipeline.prompt_template_encode.partition("<|im_start|>user\n")
    pipeline.prompt_template_encode_start_idx = len(tokenizer(system[0] + system[1])["input_ids"])
    return pipeline
