"""How an editor is loaded for training. It knows no algorithm, no reward and no torch."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from edit_rrm.lora import LoraSettings
from edit_rrm.nested_settings import Section

ATTENTION, ATTENTION_AND_MLP = "attention", "attention+mlp"
"""Words for the layers of an editor's transformer, whatever they are called there."""


class EditorLora(LoraSettings):
    """Adapters of an editor's transformer."""

    targets: str | tuple[str, ...] = Field(
        default=ATTENTION_AND_MLP,
        min_length=1,
        description=f"layers that get one: {ATTENTION_AND_MLP}, those of every block; {ATTENTION}, the "
        "attention's alone; or ends of their names, or a regular expression of whole names",
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
    text_encoders: Literal["leave", "stay"] = Field(
        default="leave",
        description="what becomes of them once an update's edits are encoded: they leave the device for the "
        "CPU's memory, or stay",
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
        description="classifier-free guidance by a second pass (Qwen-Image-Edit, FLUX.2 klein's base "
        "models); 1 is off",
    )
    negative_prompt: str | None = Field(
        default=None, description="for true_cfg_scale above 1; if absent what the editor's own pipeline has"
    )
    area_pixels: int | None = Field(
        default=None,
        ge=256,
        description="area that sources are brought to, aspect kept; if absent the source's own "
        "(FLUX.1-Kontext; FLUX.2 klein: at most 1024×1024) or 1024×1024 (Qwen-Image-Edit)",
    )
    max_text_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens that an instruction gets (Kontext's T5, FLUX.2 klein); 512 if absent, or as many "
        "as the tokenizer takes",
    )

    @model_validator(mode="after")
    def _one_adapter(self) -> Self:
        if self.lora is not None and self.adapter is not None:
            raise ValueError("give `lora` for a new adapter or `adapter` for a saved one, not both")
        return self
