"""A disk that fills up: a tmpfs of some MiB, which root alone may mount."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmallDisk:
    """Its folder."""

    directory: Path

    def fill(self) -> None:
        """Leaves no byte free."""
        with contextlib.suppress(OSError), (self.directory / "filling").open("wb", buffering=0) as file:
            for size in (65536, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def free(self) -> None:
        """Takes away what `fill` wrote."""
        (self.directory / "filling").unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(size_mib: int) -> Iterator[SmallDisk]:
    """Such a disk. Raises CalledProcessError where it may not be mounted."""
    with tempfile.TemporaryDirectory(prefix="edit-rrm-disk-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", name], check=True)
        try:
            yield SmallDisk(Path(name))
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)
