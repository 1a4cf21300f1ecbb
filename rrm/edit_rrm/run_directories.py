"""A directory that somebody named as a checkpoint: the weights themselves, or a run with them in `final/`.

It opens no file: what a directory is shows by the names in it.
"""

from pathlib import Path

FINAL = "final"
"""Where a training leaves what can be served."""
_MARKS = ("config.json", "adapter_config.json", "model_index.json")
_SHOWN = 4


def checkpoint_inside(directory: Path) -> Path:
    """`directory`, or its `final/` where only that holds a checkpoint, an adapter or a pipeline."""
    final = directory / FINAL
    return final if not _is_checkpoint(directory) and _is_checkpoint(final) else directory


def what_it_holds(directory: Path) -> str:
    """What is there instead of a checkpoint, and the one nearby that may be meant."""
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if not entries:
        return "it is empty"
    shown = [entry.name + "/" * entry.is_dir() for entry in entries[:_SHOWN]]
    more = len(entries) - len(shown)
    listed = f"it holds {', '.join(shown)}" + (f" and {more} more" if more else "")
    below = [entry for entry in entries if _is_checkpoint(checkpoint_inside(entry))]
    return f"{listed}; did you mean {max(below, key=_modified)}?" if below else listed


def checkpoints_beside(path: Path) -> list[Path]:
    """The checkpoints and runs in the folder that `path` is in; none where it cannot be read."""
    try:
        entries = sorted(path.parent.iterdir())
    except OSError:
        return []
    return [each for each in entries if _is_checkpoint(checkpoint_inside(each))]


def _is_checkpoint(directory: Path) -> bool:
    return any((directory / name).is_file() for name in _MARKS)


def _modified(directory: Path) -> float:
    return directory.stat().st_mtime
