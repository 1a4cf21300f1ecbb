"""Which files of a checkpoint matter: to load it, to tell it from another, and whether all are there.

Only a checkpoint's own folder counts, not folders in it. Weights are safetensors: pickle is not loaded.
"""

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from edit_rrm.errors import CheckpointError

CONFIG_FILE = "config.json"
_WEIGHTS = "*.safetensors"
_INDEX = "*.safetensors.index.json"
_LOADED = (_WEIGHTS, "*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "judge.*")
_CODE = "*.py"
# What shapes the text and the pictures the model sees.
_BESIDE_WEIGHTS = (
    "*processor_config.json", "chat_template*", "*.jinja", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab*", "merges.txt", "*.model", "*.tiktoken", "tekken.json",
)  # fmt: skip
# Everything that changes what it sees or writes. The card is compared by itself.
_IDENTIFYING = (
    *_BESIDE_WEIGHTS, _WEIGHTS, _CODE, CONFIG_FILE, "generation_config.json", "adapter_config.json",
)  # fmt: skip
_NAMED = 3  # missing files


def files_to_load(names: Iterable[str], *, with_code: bool = False) -> list[str]:
    """Those of a repository's files that serving needs, sorted; `with_code`: its Python modules too."""
    wanted = (*_LOADED, _CODE) if with_code else _LOADED
    found = sorted(name for name in names if "/" not in name and _is_one_of(name, wanted))
    # The same weights in Mistral's own form; vLLM reads the other.
    twice = [name for name in found if fnmatchcase(name, "consolidated*.safetensors")]
    weights = [name for name in found if fnmatchcase(name, _WEIGHTS)]
    return [name for name in found if name not in twice] if len(twice) < len(weights) else found


def identifying_files(directory: Path) -> list[Path]:
    """The files a checkpoint's digest is taken over, sorted by name. Empty without weights."""
    if not any(directory.glob(_WEIGHTS)):
        return []
    return sorted(
        file for file in directory.iterdir() if file.is_file() and _is_one_of(file.name, _IDENTIFYING)
    )


def files_beside_weights(directory: Path) -> list[Path]:
    """Tokenizer, processor and template, without weights and their configuration."""
    return sorted(
        file for file in directory.iterdir() if file.is_file() and _is_one_of(file.name, _BESIDE_WEIGHTS)
    )


def check_complete(directory: Path, said: str) -> None:
    """Raises CheckpointError when weights are missing: all of them, or some that the index names.

    `said` is how the operator named the checkpoint.
    """
    if not any(directory.glob(_WEIGHTS)):
        pickled = any(True for kind in ("*.bin", "*.pt", "*.pth") for _ in directory.glob(kind))
        more = "; its pickled weights are not loaded: convert them to safetensors" if pickled else ""
        raise CheckpointError(f"{said} holds no *.safetensors files{more}")
    for index in sorted(directory.glob(_INDEX)):
        shards = _shards(index)
        missing = [name for name in shards if not (directory / name).is_file()]
        if missing:
            named = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
            raise CheckpointError(
                f"{said} is there in part: {len(missing)} of the {len(shards)} files of weights that "
                f"{index.name} names are missing in {directory} ({named}): download or copy it again"
            )


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is no index of weights: {error!r}") from error


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
