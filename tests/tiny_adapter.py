"""A LoRA of the bundled checkpoint, made here: random, and large enough to change what the model writes."""

import json
from pathlib import Path

from edit_rrm_server.settings.server import BUNDLED_MODEL


def write_adapter(
    directory: Path, *, base: str | Path = BUNDLED_MODEL, rank: int = 4, scale: float = 0.05, seed: int = 0
) -> Path:
    """Written by PEFT, as a trainer does."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_pretrained(BUNDLED_MODEL, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["q_proj", "v_proj", "down_proj"])
    adapted = get_peft_model(model, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=scale)
    adapted.save_pretrained(directory)
    change_config(directory, base_model_name_or_path=str(base))
    return directory


def change_config(directory: Path, **changes: object) -> None:
    """Other values in adapter_config.json; None takes one away."""
    file = directory / "adapter_config.json"
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
