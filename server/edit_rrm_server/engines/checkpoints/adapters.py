"""A PEFT adapter as files: which base it was trained on, and whether it fits the one at hand.

Reads JSON and the headers of safetensors alone, so no tensor library is needed.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.checkpoints.contents import CONFIG_FILE

ADAPTER_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_LARGEST_HEADER_BYTES = 100 * 2**20
_BLOCK_NAMES = ("layers", "layer", "blocks", "h")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Adapter:
    """What its configuration says. `base` is a directory or a hub id as the trainer had it."""

    directory: Path
    base: str | None
    rank: int  # the largest of any layer


def is_adapter(directory: Path) -> bool:
    """Whether a directory holds an adapter and no checkpoint."""
    return (directory / ADAPTER_FILE).is_file() and not (directory / CONFIG_FILE).is_file()


def read_adapter(directory: Path) -> Adapter:
    """Raises CheckpointError for one that is no LoRA, or has no safetensors weights."""
    file = directory / ADAPTER_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        kind, base = config["peft_type"], config.get("base_model_name_or_path")
        ranks = (
            [int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())]
            if kind == "LORA"
            else []
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is no adapter's configuration: {error!r}") from error
    if kind != "LORA":
        raise CheckpointError(f"{file}: peft_type is {kind!r}, and only LORA is served")
    if not (directory / WEIGHTS_FILE).is_file():
        raise CheckpointError(
            f"the adapter {directory} holds no {WEIGHTS_FILE}; pickled weights are not loaded"
        )
    return Adapter(directory, base or None, max(ranks))


def check_fits(adapter: Adapter, base: Path) -> None:
    """Raises CheckpointError if a layer of the adapter has no counterpart of its size in the base.

    Layers are compared by the end of their names, from the number of their block on: what stands before it
    differs between a checkpoint's files and the modules of one version or another of transformers.
    """
    there: dict[str, set[Shape]] = {}
    for file in sorted(base.glob("*.safetensors")):
        for name, shape in tensor_shapes(file).items():
            there.setdefault(_ending(name.removesuffix(".weight")), set()).add(shape)
    known = 0
    for layer, shape in _adapted(adapter).items():
        shapes = there.get(_ending(layer))
        known += shapes is not None
        if shapes is not None and shape not in shapes:
            has = " or ".join(" x ".join(map(str, other)) for other in sorted(shapes))
            raise CheckpointError(
                f"the adapter {adapter.directory} is for another base than {base}: its {layer} is "
                f"{' x '.join(map(str, shape))}, the base has {has}{_trained_on(adapter)}"
            )
    if not known:
        raise CheckpointError(
            f"the adapter {adapter.directory} is for another base than {base}, which has none of its layers"
            f"{_trained_on(adapter)}"
        )


def tensor_shapes(file: Path) -> dict[str, Shape]:
    """The shapes in a safetensors file, by name. Raises CheckpointError for another kind of file."""
    try:
        with file.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            if size > _LARGEST_HEADER_BYTES:
                raise ValueError(f"a header of {size} bytes")
            header: dict[str, Any] = json.loads(stream.read(size))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise CheckpointError(f"{file} is no safetensors file: {error}") from error


def _adapted(adapter: Adapter) -> dict[str, Shape]:
    """[rows, columns] of each linear layer that the adapter changes, by its name."""
    shapes = tensor_shapes(adapter.directory / WEIGHTS_FILE)
    found: dict[str, Shape] = {}
    for name, shape in shapes.items():
        layer, is_down, rest = name.partition(".lora_A.")
        up = shapes.get(f"{layer}.lora_B.{rest}")
        if is_down and len(shape) == 2 and up is not None:
            found[layer.removeprefix("base_model.model.")] = (up[0], shape[1])
    if not found:
        raise CheckpointError(f"{adapter.directory / WEIGHTS_FILE} holds no LoRA of linear layers")
    return found


def _ending(layer: str) -> str:
    parts = layer.split(".")
    for place, part in enumerate(parts[:-1]):
        if part in _BLOCK_NAMES and parts[place + 1].isdigit():
            return ".".join(parts[place:])
    return parts[-1]


def _trained_on(adapter: Adapter) -> str:
    return "" if adapter.base is None else f" (it was trained on {adapter.base})"
