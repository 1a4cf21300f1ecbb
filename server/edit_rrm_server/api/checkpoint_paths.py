"""A checkpoint's directory as an administrator names it, held below one root. Loads nothing."""

from pathlib import Path

from edit_rrm.checkpoint import read_card
from edit_rrm.errors import CheckpointError
from edit_rrm.run_directories import checkpoint_inside, what_it_holds
from edit_rrm_server.engines.checkpoints.adapters import is_adapter
from edit_rrm_server.errors import RequestRefusedError


def checkpoint_below(root: Path, path: str, *, adapters: bool = False) -> Path:
    """The checkpoint at `path`, which is absolute or relative to `root`, with every link resolved.

    A run's directory means its `final/`. `adapters`: an adapter will do too, as the operator has set its
    base: what its own configuration names may lie anywhere.
    Raises RequestRefusedError (invalid_request) for one outside the root, in the same words as for one that
    does not exist, and for a directory that holds no checkpoint.
    """
    try:
        directory = checkpoint_inside(root / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        directory = None
    if directory is None or not directory.is_relative_to(root.resolve()) or not directory.is_dir():
        raise RequestRefusedError("invalid_request", "path: there is no such directory below reload_root")
    if is_adapter(directory):
        if not adapters:
            raise RequestRefusedError(
                "invalid_request", "path: an adapter is loaded only where `base` is set"
            )
        return directory
    if not (directory / "config.json").is_file() or not any(directory.glob("*.safetensors")):
        raise RequestRefusedError(
            "invalid_request",
            f"path: config.json or *.safetensors are missing there: {what_it_holds(directory)}",
        )
    try:
        read_card(directory)
    except CheckpointError as error:
        raise RequestRefusedError("invalid_request", f"path: {error}") from None
    return directory
