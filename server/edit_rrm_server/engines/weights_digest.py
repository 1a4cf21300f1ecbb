"""The identity of a checkpoint: a digest over its weights and whatever shapes what they see and write.

Another chat template, processor or tokenizer is another judge. Remembered between starts of the service.
"""

import hashlib
import json
import logging
import os
from pathlib import Path

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.checkpoints.contents import identifying_files

DIGEST_HEX_CHARS = 12
_CHUNK_BYTES = 4 * 2**20
_VERSION = 2  # of what the digest is taken over

logger = logging.getLogger(__name__)


def weights_digest(directory: Path, cache_file: Path | None = None) -> str:
    """12 hex digits of the SHA-256 over names, sizes and contents of the files that identify a checkpoint.

    `cache_file` remembers digests by path, size and modification time: hashing a large checkpoint
    takes longer than loading it. Raises CheckpointError when there are no such files.
    """
    files = identifying_files(directory)
    if not files:
        raise CheckpointError(f"{directory} holds no *.safetensors files")
    key = json.dumps([_VERSION, *(_seen(file) for file in files)])
    known = _read(cache_file)
    if key in known:
        return known[key]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    short = digest.hexdigest()[:DIGEST_HEX_CHARS]
    _write(cache_file, {**known, key: short})
    return short


def default_cache_file() -> Path:
    """Where digests are remembered, under the user's cache directory."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "edit-rrm" / "weights_digests.json"


def _seen(file: Path) -> list[str | int]:
    """What changes when the file does. Its own name, too: a hub's cache keeps contents under other ones."""
    stat = file.stat()
    return [file.name, str(file.resolve()), stat.st_size, stat.st_mtime_ns]


def _read(cache_file: Path | None) -> dict[str, str]:
    if cache_file is None or not cache_file.exists():
        return {}
    try:
        content = json.loads(cache_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        logger.warning("the cache of weights digests cannot be read and is begun anew: %s", error)
        return {}
    return content if isinstance(content, dict) else {}


def _write(cache_file: Path | None, digests: dict[str, str]) -> None:
    if cache_file is None:
        return
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        fresh = cache_file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(digests, indent=1), encoding="utf-8")
        fresh.replace(cache_file)
    except OSError as error:
        logger.warning("the weights digest is not remembered: %s", error)
