"""Adds a LoRA to its base's weights with PEFT, once: the result is kept and served like any checkpoint.

Run as a process of its own, on the CPU: it needs memory for the base's weights, and gives it back.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.checkpoints.adapters import WEIGHTS_FILE, tensor_shapes
from edit_rrm_server.engines.checkpoints.child_work import answer
from edit_rrm_server.engines.checkpoints.contents import files_beside_weights

_NEEDS = ("peft", "transformers", "torch")


def merge_into(target: Path, base: Path, adapter: Path) -> Path:
    """The merged checkpoint at `target`, there whole or not at all. Raises CheckpointError.

    Tokenizer and processor are the adapter's where it has them, else the base's. It holds no card.
    """
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise CheckpointError(
            f"merging the adapter {adapter} needs {', '.join(missing)} (the extra `training`); "
            "adapter_mode=lora serves it without"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        _merged(base, adapter).save_pretrained(partial)
        for source in (base, adapter):
            for file in files_beside_weights(source):
                shutil.copyfile(file, partial / file.name)
        try:
            partial.rename(target)
        except OSError:  # another service was faster, with the same weights
            if not target.is_dir():
                raise
    except OSError as error:
        raise CheckpointError(f"the merged checkpoint cannot be written to {target}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _merged(base: Path, adapter: Path) -> Any:
    from peft import PeftModel, get_peft_model_state_dict
    from transformers import AutoModelForImageTextToText

    try:
        plain = AutoModelForImageTextToText.from_pretrained(base, dtype="auto", local_files_only=True)
    except ValueError as error:
        raise CheckpointError(f"transformers cannot load {base} to merge into it: {error}") from error
    try:
        model = PeftModel.from_pretrained(plain, adapter, local_files_only=True)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"the adapter {adapter} does not fit {base}: {str(error).splitlines()[0]}"
        ) from error
    left_out = tensor_shapes(adapter / WEIGHTS_FILE).keys() - get_peft_model_state_dict(model).keys()
    if left_out:
        raise CheckpointError(
            f"the adapter {adapter} does not fit {base}: {len(left_out)} of its tensors have no place there, "
            f"such as {min(left_out)}"
        )
    return model.merge_and_unload(safe_merge=True)


def _main(arguments: dict[str, Any]) -> str:
    return str(merge_into(Path(arguments["target"]), Path(arguments["base"]), Path(arguments["adapter"])))


if __name__ == "__main__":
    answer(_main)
