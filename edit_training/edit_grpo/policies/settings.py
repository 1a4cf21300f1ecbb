"""How an editor is loaded for training. It knows no algorithm, no reward and no torch."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from edit_rrm.lora import LoraSettings
from edit_rrm.nested_settings import Section

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""The attention's projections, of both streams, as Flux's and Qwen-Image's transformers name them."""


class EditorLora(LoraSettings):
    """Adapters of an editor's transformer."""

    targets: str | tuple[str, ...] = Field(
        default=ATTENTION, min_length=1, description="layers that get one; by default the attention's"
    )


class PolicySettings(Section):
    """The editor that is trained, and how it is run."""

    name: str = Field(
        description="the folder of a diffusers pipeline, or an editor that an installed package registers"
    )
    lora: EditorLora | None = Field(
        default=None, description="train new adapters; without them and `adapter` all weights are trained"
    )
    adapter: Path | None = Field(default=None, description="folder of a saved adapter to go on with")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="bfloat16",
        description="type of the frozen weights and of latents; adapters on bfloat16 weights are float32",
    )
    gradient_checkpointing: bool = Field(
        default=True, description="compute activations twice: slower, much less memory"
    )
    guidance_scale: float | None = Field(
        default=None,
        gt=0.0,
        description="embedded guidance of a distilled transformer (FLUX.1-Kontext: 2.5 if absent), in "
        "sampling and training alike",
    )
    true_cfg_scale: float = Field(
        default=1.0,
        ge=1.0,
        description="classifier-free guidance by a second pass (Qwen-Image-Edit); 1 is off",
    )
    negative_prompt: str = Field(default=" ", description="for true_cfg_scale above 1")
    area_pixels: int | None = Field(
        default=None,
        ge=256,
        description="area that sources are brought to, aspect kept; if absent the source's own "
        "(FLUX.1-Kontext) or 1024×1024 (Qwen-Image-Edit)",
    )
    max_text_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens of T5 that an instruction gets (Kontext); the tokenizer's if absent",
    )

    @model_validator(mode="after")
    def _one_adapter(self) -> Self:
        if self.lora is not None and self.adapter is not None:
            raise ValueError("give `lora` for a new adapter or `adapter` for a saved one, not both")
        return self
