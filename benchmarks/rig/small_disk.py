"""A disk that fills up: a tmpfs of a few MiB where it may be mounted, else a limit to the size of files."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SmallDisk:
    """`how` says which it is; `prefix` makes a program keep to it. Only a tmpfs can be filled by others."""

    directory: Path
    how: str
    prefix: Sequence[str] = ()

    def fill(self) -> None:
        """Leaves no byte free; where only files are limited nothing happens."""
        if self.prefix:
            return
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
    """A folder on such a disk."""
    with tempfile.TemporaryDirectory(prefix="edit-rrm-disk-") as name:
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", name]
        try:
            mounted = subprocess.run(mounting, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            mounted = False
        if not mounted:
            limit = ["prlimit", f"--fsize={size_mib * 2**20}"]
            yield SmallDisk(Path(name), f"files of at most {size_mib} MiB", limit)
            return
        try:
            yield SmallDisk(Path(name), f"a tmpfs of {size_mib} MiB")
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)
