"""A tiny random checkpoint of each family's own class, with a chat template of the family's structure.

Weights are noise but for the last layer: it writes nothing but verdicts, "0" and "1" in every spelling the
vocabulary has, so that their probabilities can be looked at. Layers are as small as vLLM's kernels take.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from families.vocabularies import byte_level, sentencepiece

DIGITS = ("0", "1", "\u01200", "\u01201", "\u25810", "\u25811")
_LONGEST = 16384
_TOWER = re.compile(r"(vision_tower\.)(?=embeddings|encoder|post_layernorm|pre_layrnorm)")
_VERDICT_SPREAD = 0.5
_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def _parts(image: str) -> str:
    """A message's parts where they stand."""
    part = f"{{% if p.type == 'image' %}}{image}{{% else %}}{{{{ p.text }}}}{{% endif %}}"
    return f"{{% for p in m.content %}}{part}{{% endfor %}}"


def _chatml(image: str, *, images_first: bool = False) -> str:
    first = (
        f"{{% for p in m.content if p.type == 'image' %}}{image}\n{{% endfor %}}"
        "{% for p in m.content if p.type == 'text' %}{{ p.text }}{% endfor %}"
    )
    content = first if images_first else _parts(image)
    return (
        f"{{% for m in messages %}}<|im_start|>{{{{ m.role }}}}\n{content}<|im_end|>\n{{% endfor %}}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


_QWEN_TEMPLATE = _chatml("<|vision_start|><|image_pad|><|vision_end|>")
_THOUGHT = ("<think>", "</think>")
_THINKING_TEMPLATE = (
    _QWEN_TEMPLATE + "{% if add_generation_prompt and enable_thinking is defined and enable_thinking %}"
    "<think>\n{% endif %}"
)
_GEMMA_TEMPLATE = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{% set head = messages[0].content[0].text + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set head = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}<start_of_turn>{{ m.role }}\n{% if loop.first %}{{ head }}{% endif %}"
    + _parts("<start_of_image>")
    + "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_GLM_TEMPLATE = (
    "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>\n"
    + _parts("<|begin_of_image|><|image|><|end_of_image|>")
    + "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
# Strings alone, no system role: older models' way. The BOS is left to the tokenizer.
_LLAVA_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ 'USER: ' + m.content if m.role == 'user' else 'ASSISTANT: ' + m.content }}{{ ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def _text(vocabulary: Any, **more: Any) -> dict[str, Any]:
    """The text model's size."""
    return {
        "vocab_size": len(vocabulary),
        "hidden_size": 128,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": _LONGEST,
        "tie_word_embeddings": False,
        "bos_token_id": vocabulary.bos_token_id,
        "eos_token_id": vocabulary.eos_token_id,
        "pad_token_id": vocabulary.pad_token_id,
        **more,
    }


def _qwen_vocabulary(*more: str) -> Any:
    return byte_level([*_CHATML, *_VISION, *more], eos_token="<|im_end|>", pad_token="<|endoftext|>")


def _qwen_ids(vocabulary: Any) -> dict[str, Any]:
    id_of = vocabulary.convert_tokens_to_ids
    return {
        "image_token_id": id_of("<|image_pad|>"),
        "video_token_id": id_of("<|video_pad|>"),
        "vision_start_token_id": id_of("<|vision_start|>"),
        "vision_end_token_id": id_of("<|vision_end|>"),
        "tie_word_embeddings": False,
    }


_EYES: Mapping[str, Any] = MappingProxyType(
    {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "image_size": 64,
        "patch_size": 8,
    }
)


def _patches(patch: int) -> dict[str, Any]:
    """Pictures keep their size: a token is 2 x 2 patches."""
    side = {"shortest_edge": (2 * patch) ** 2, "longest_edge": (64 * patch) ** 2}
    return {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2, "size": side}


def _qwen2_5_vl(directory: Path) -> None:
    vocabulary = _qwen_vocabulary()
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12]}
    config = hf.Qwen2_5_VLConfig(
        text_config=_text(vocabulary, rope_parameters=rope),
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "out_hidden_size": 128,
            "fullatt_block_indexes": [0, 1],
        },
        **_qwen_ids(vocabulary),
    )
    _save(
        directory,
        hf.Qwen2_5_VLForConditionalGeneration(config),
        hf.Qwen2_5_VLProcessor(
            image_processor=hf.Qwen2VLImageProcessor(**_patches(8)),
            video_processor=hf.Qwen2VLVideoProcessor(**_patches(8)),
            tokenizer=vocabulary,
            chat_template=_QWEN_TEMPLATE,
        ),
    )


_QWEN3_EYES: Mapping[str, Any] = MappingProxyType(
    {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 128,
        "num_position_embeddings": 64,
    }
)


def _qwen3_processor(vocabulary: Any, template: str = _QWEN_TEMPLATE) -> Any:
    return hf.Qwen3VLProcessor(
        image_processor=hf.Qwen2VLImageProcessor(**_patches(8)),
        video_processor=hf.Qwen3VLVideoProcessor(**_patches(8)),
        tokenizer=vocabulary,
        chat_template=template,
    )


def _qwen3_vl(directory: Path) -> None:
    vocabulary = _qwen_vocabulary()
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [12, 10, 10],
        "mrope_interleaved": True,
    }
    config = hf.Qwen3VLConfig(
        text_config=_text(vocabulary, rope_parameters=rope),
        vision_config={**_QWEN3_EYES, "deepstack_visual_indexes": [0, 1]},
        **_qwen_ids(vocabulary),
    )
    _save(directory, hf.Qwen3VLForConditionalGeneration(config), _qwen3_processor(vocabulary))


def _qwen3_5(directory: Path) -> None:
    vocabulary = _qwen_vocabulary(*_THOUGHT)
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [3, 3, 2],
        "mrope_interleaved": True,
        "partial_rotary_factor": 0.25,
    }
    config = hf.Qwen3_5Config(
        text_config=_text(
            vocabulary,
            rope_parameters=rope,
            num_hidden_layers=4,
            layer_types=["linear_attention", "linear_attention", "linear_attention", "full_attention"],
            linear_key_head_dim=128,
            linear_value_head_dim=128,
            linear_num_key_heads=2,
            linear_num_value_heads=4,
        ),
        vision_config=dict(_QWEN3_EYES),
        **_qwen_ids(vocabulary),
    )
    processor = _qwen3_processor(vocabulary, _THINKING_TEMPLATE)
    _save(directory, hf.Qwen3_5ForConditionalGeneration(config), processor)


def _internvl(directory: Path) -> None:
    images = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    vocabulary = byte_level(
        [*_CHATML, *images.values()],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=images,
    )
    config = hf.InternVLConfig(
        text_config={"model_type": "qwen2", **_text(vocabulary)},
        vision_config={
            **_EYES,
            "image_size": [64, 64],
            "patch_size": [8, 8],
        },
        image_token_id=vocabulary.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=16,
        tie_word_embeddings=False,
    )
    _save(
        directory,
        hf.InternVLForConditionalGeneration(config),
        hf.InternVLProcessor(
            image_processor=hf.GotOcr2ImageProcessor(
                size={"height": 64, "width": 64}, crop_to_patches=True, min_patches=1, max_patches=12
            ),
            video_processor=hf.InternVLVideoProcessor(size={"height": 64, "width": 64}),
            tokenizer=vocabulary,
            image_seq_length=16,
            chat_template=_chatml("<IMG_CONTEXT>\n"),
        ),
    )


def _gemma3(directory: Path) -> None:
    images = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    vocabulary = sentencepiece(
        ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", *images.values()],
        head=["<bos>"],
        first_space=False,
        bos_token="<bos>",
        eos_token="<end_of_turn>",
        extra_special_tokens=images,
    )
    id_of = vocabulary.convert_tokens_to_ids
    config = hf.Gemma3Config(
        text_config=_text(
            vocabulary, sliding_window=512, layer_types=["sliding_attention", "full_attention"]
        ),
        vision_config={
            "vision_use_head": False,
            **_EYES,
        },
        mm_tokens_per_image=16,
        boi_token_index=id_of("<start_of_image>"),
        eoi_token_index=id_of("<end_of_image>"),
        image_token_index=id_of("<image_soft_token>"),
        tie_word_embeddings=False,
    )
    _save(
        directory,
        hf.Gemma3ForConditionalGeneration(config),
        hf.Gemma3Processor(
            image_processor=hf.Gemma3ImageProcessor(size={"height": 64, "width": 64}),
            tokenizer=vocabulary,
            image_seq_length=16,
            chat_template=_GEMMA_TEMPLATE,
        ),
    )


def _glm4v(directory: Path) -> None:
    images = ("<|begin_of_image|>", "<|image|>", "<|end_of_image|>")
    videos = ("<|begin_of_video|>", "<|video|>", "<|end_of_video|>")
    roles = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
    vocabulary = byte_level(
        ["<|endoftext|>", "[gMASK]", "<sop>", *roles, *images, *videos],
        head=["[gMASK]", "<sop>"],
        eos_token="<|user|>",
        pad_token="<|endoftext|>",
    )
    id_of = vocabulary.convert_tokens_to_ids
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [8, 12, 12],
        "partial_rotary_factor": 1.0,
    }
    config = hf.Glm4vConfig(
        text_config=_text(vocabulary, rope_parameters=rope),
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "num_heads": 2,
            "image_size": 64,
            "patch_size": 8,
            "out_hidden_size": 128,
            "intermediate_size": 128,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        image_token_id=id_of("<|image|>"),
        video_token_id=id_of("<|video|>"),
        image_start_token_id=id_of("<|begin_of_image|>"),
        image_end_token_id=id_of("<|end_of_image|>"),
        video_start_token_id=id_of("<|begin_of_video|>"),
        video_end_token_id=id_of("<|end_of_video|>"),
        tie_word_embeddings=False,
    )
    _save(
        directory,
        hf.Glm4vForConditionalGeneration(config),
        hf.Glm4vProcessor(
            image_processor=hf.Glm4vImageProcessor(**_patches(8)),
            video_processor=hf.Glm4vVideoProcessor(**_patches(8)),
            tokenizer=vocabulary,
            chat_template=_GLM_TEMPLATE,
        ),
    )


def _llava_onevision(directory: Path) -> None:
    vocabulary = byte_level(
        [*_CHATML, "<image>", "<video>"], eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    id_of = vocabulary.convert_tokens_to_ids
    sides = [[64, 64], [64, 128], [128, 64], [128, 128]]
    config = hf.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **_text(vocabulary)},
        vision_config={
            "model_type": "siglip_vision_model",
            "vision_use_head": False,
            **_EYES,
        },
        image_token_index=id_of("<image>"),
        video_token_index=id_of("<video>"),
        image_grid_pinpoints=sides,
        tie_word_embeddings=False,
    )
    _save(
        directory,
        hf.LlavaOnevisionForConditionalGeneration(config),
        hf.LlavaOnevisionProcessor(
            image_processor=hf.LlavaOnevisionImageProcessor(
                size={"height": 64, "width": 64}, image_grid_pinpoints=sides
            ),
            video_processor=hf.LlavaOnevisionVideoProcessor(size={"height": 64, "width": 64}),
            tokenizer=vocabulary,
            num_image_tokens=64,
            vision_feature_select_strategy="full",
            chat_template=_chatml("<image>", images_first=True),
        ),
    )


def _llava(directory: Path) -> None:
    vocabulary = sentencepiece(
        ["<s>", "</s>", "<image>"], head=["<s>"], first_space=True, bos_token="<s>", eos_token="</s>"
    )
    config = hf.LlavaConfig(
        text_config={"model_type": "llama", **_text(vocabulary)},
        vision_config={
            "model_type": "clip_vision_model",
            **_EYES,
            "projection_dim": 64,
        },
        image_token_index=vocabulary.convert_tokens_to_ids("<image>"),
        image_seq_length=64,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    _save(
        directory,
        hf.LlavaForConditionalGeneration(config),
        hf.LlavaProcessor(
            image_processor=hf.CLIPImageProcessor(
                size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}
            ),
            tokenizer=vocabulary,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=_LLAVA_TEMPLATE,
        ),
    )


@dataclass(frozen=True)
class Family:
    """A family, what makes its checkpoint, and what there is to know of it."""

    name: str
    save: Callable[[Path], None]
    shape: str
    """What is particular about its prompts or its attention."""
    hybrid: bool = False
    images_first: bool = False


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        key: Family(name, save, shape, hybrid=key == "qwen3_5", images_first=key == "llava_onevision")
        for key, name, save, shape in (
            ("qwen2_5_vl", "Qwen2.5-VL", _qwen2_5_vl, "byte-level BPE"),
            ("qwen3_vl", "Qwen3-VL", _qwen3_vl, "byte-level BPE"),
            ("qwen3_5", "Qwen3.5", _qwen3_5, "hybrid: three linear layers, one of full attention"),
            ("internvl", "InternVL3 (HF)", _internvl, "tiles"),
            ("gemma3", "Gemma 3", _gemma3, "SentencePiece; the template writes the BOS; sliding window"),
            ("glm4v", "GLM-4.1V", _glm4v, "the template writes `[gMASK]<sop>`, and the tokenizer too"),
            ("llava_onevision", "LLaVA-OneVision", _llava_onevision, "the template moves images first"),
            (
                "llava",
                "LLaVA 1.5",
                _llava,
                "SentencePiece; strings only, no system role; BOS by the tokenizer",
            ),
        )
    }
)


def save_family(key: str, directory: Path) -> Path:
    """Writes a family's checkpoint to `directory` and returns it."""
    torch.manual_seed(0)
    FAMILIES[key].save(directory)
    return directory


def _save(directory: Path, model: Any, processor: Any) -> None:
    vocabulary = processor.tokenizer
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        head.zero_()
        for spelling in DIGITS:
            number = vocabulary.get_vocab().get(spelling)
            if number is not None:
                head[number] = torch.randn(head.shape[1]) * _VERDICT_SPREAD
    model.generation_config.eos_token_id = vocabulary.eos_token_id
    model.save_pretrained(directory)
    if model.config.vision_config.model_type != "internvl_vision":
        _name_as_released(directory / "model.safetensors")
    vocabulary.chat_template = processor.chat_template
    processor.save_pretrained(directory)


def _name_as_released(file: Path) -> None:
    """Released SigLIP and CLIP towers have a `vision_model`, which transformers leaves out."""
    weights = load_file(file)
    named = {_TOWER.sub(r"\1vision_model.", name): weight for name, weight in weights.items()}
    save_file(named, file, metadata={"format": "pt"})
