"""How an editor is loaded for training. It knows no algorithm and no reward."""

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
"""The attention's projections, of both streams, as Flux's and Qwen-Image's transformers name them."""


class LoraSettings(BaseModel):
    """A new LoRA adapter (PEFT)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=64, ge=1, description="rank of the adapters")
    alpha: float = Field(default=128.0, gt=0, description="scale of the adapters, divided by the rank")
    targets: tuple[str, ...] = Field(
        default=ATTENTION, min_length=1, description="ends of the names of the layers that get an adapter"
    )


class PolicySettings(BaseModel):
    """What is trained of an editor, and how it is run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lora: LoraSettings | None = Field(
        default=None, description="train a new adapter; without `lora` and `adapter` all weights are trained"
    )
    adapter: Path | None = Field(default=None, description="folder of a saved adapter to go on with")
    keep_reference: bool = Field(
        default=True, description="keep a frozen copy of the first weights where all of them are trained"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="of weights and latents; adapters on bfloat16 weights are float32 themselves",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="recompute activations in the backward pass: less memory, more time"
    )
    guidance_scale: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="the embedded guidance of a distilled transformer (FLUX.1-Kontext: 2.5 if absent)",
    )
    true_cfg_scale: float = Field(
        default=1.0,
        ge=1.0,
        description="classifier-free guidance with two forwards a step (Qwen-Image-Edit); 1 is off",
    )
    negative_prompt: str = Field(default=" ", description="for `true_cfg_scale` above 1")
    area_pixels: Annotated[int, Field(ge=256)] | None = Field(
        default=None,
        description="area that sources are brought to, aspect kept; if absent the source's own "
        "(FLUX.1-Kontext) or 1024×1024 (Qwen-Image-Edit)",
    )
    max_text_tokens: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="tokens of T5 that an instruction gets (Kontext); if absent the tokenizer's"
    )

    @model_validator(mode="after")
    def _one_adapter(self) -> "PolicySettings":
        if self.lora is not None and self.adapter is not None:
            raise ValueError("give `lora` for a new adapter or `adapter` for a saved one, not both")
        return self

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as torch has it."""
        return torch.float32 if self.dtype == "float32" else torch.bfloat16
