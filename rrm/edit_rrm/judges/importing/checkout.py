"""Files of another project: where they may lie under the path somebody names, and which bytes they had."""

import hashlib
from pathlib import Path

from edit_rrm.errors import JudgeError

DIGEST_HEX_CHARS = 12


def expected(root: Path, *places: str) -> Path:
    """The first of `places` that is a file under `root`: a checkout, a package, or the folder itself.

    Raises JudgeError naming the file that was expected.
    """
    if not root.is_dir():
        raise JudgeError(f"{root} is no folder; expected one with {places[0]}")
    for place in places:
        if (root / place).is_file():
            return root / place
    raise JudgeError(f"{root} has no {places[0]}" + "".join(f", nor {place}" for place in places[1:]))


def provenance(root: Path, *files: Path) -> str:
    """Files by their names under `root`, each with the beginning of its SHA-256. Raises JudgeError."""
    told = []
    for file in dict.fromkeys(files):
        try:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()[:DIGEST_HEX_CHARS]
        except OSError as error:
            raise JudgeError(f"cannot read {file}: {error}") from error
        told.append(f"{file.relative_to(root).as_posix()} (sha256 {digest})")
    return ", ".join(told)
