"""Files that are there whole or not at all, whenever the process is killed."""

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes the file beside its place, in UTF-8, and moves it there. A power cut may still lose it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(partial, path)
