"""What is trained of an editor: its transformer, whole or by an adapter, and the reference it started from.

It knows neither latents nor conditions; whatever it is called with goes to the transformer.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from peft import LoraConfig, PeftModel, get_peft_model

from edit_grpo.policies.errors import NoReferenceError, PolicyFolderError
from edit_grpo.policies.lora_layers import LoraLayers
from edit_grpo.policies.settings import PolicySettings


class TrainedTransformer:
    """Calls the transformer that is trained; within `reference`, the one it was at the start."""

    def __init__(
        self,
        transformer: torch.nn.Module,
        settings: PolicySettings,
        layers: LoraLayers,
        *,
        keep_reference: bool,
    ) -> None:
        if settings.gradient_checkpointing:
            transformer.enable_gradient_checkpointing()
        self._frozen: torch.nn.Module | None = None
        self._refer = False
        self.adapted = settings.lora is not None or settings.adapter is not None
        self.module: torch.nn.Module = transformer
        if settings.lora is not None:
            lora = settings.lora
            targets = layers.targets(lora.targets, (name for name, _ in transformer.named_modules()))
            config = LoraConfig(
                r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets
            )
            self.module = get_peft_model(transformer, config)
        elif settings.adapter is not None:
            self.module = _load_adapter(transformer, settings.adapter)
        else:
            transformer.requires_grad_(True)
            if keep_reference:
                self._frozen = copy.deepcopy(transformer).requires_grad_(False)

    def __call__(self, **inputs: Any) -> torch.Tensor:
        """The transformer's prediction."""
        acting = self._frozen if self._refer and self._frozen is not None else self.module
        prediction: torch.Tensor = acting(**inputs, return_dict=False)[0]
        return prediction

    @contextmanager
    def reference(self) -> Iterator[None]:
        """Adapters off, or the frozen copy of the first weights; NoReferenceError where there is neither."""
        if self.adapted:
            with extract_model_from_parallel(self.module).disable_adapter():
                yield
            return
        if self._frozen is None:
            raise NoReferenceError(
                "all weights are trained and no copy was kept: set `keep_reference`, or train by `lora`"
            )
        self._refer = True
        try:
            yield
        finally:
            self._refer = False

    def trainable(self) -> list[torch.nn.Parameter]:
        """The parameters that have a gradient."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    def save_adapter(self, directory: Path) -> None:
        """Writes the adapter in PEFT's layout."""
        extract_model_from_parallel(self.module).save_pretrained(str(directory))


def _load_adapter(transformer: torch.nn.Module, directory: Path) -> torch.nn.Module:
    if not (directory / "adapter_config.json").is_file():
        raise PolicyFolderError(
            f"no adapter in {directory}: expected adapter_config.json and adapter_model.safetensors, "
            "as the trainer's checkpoints have them"
        )
    return PeftModel.from_pretrained(transformer, str(directory), is_trainable=True)
