"""API keys as settings: which texts can be one, and the file they may come from."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from edit_rrm_server.settings.lists import split_at_commas


def is_sendable(key: str) -> bool:
    """Whether `Authorization: Bearer <key>` can carry the text: printable ASCII without white space."""
    return key.isascii() and key.isprintable() and key != "" and " " not in key


def _check(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(is_sendable(key.get_secret_value()) for key in keys):
        raise ValueError("expected keys of ASCII letters, digits or signs without white space")
    return keys


Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_at_commas), AfterValidator(_check)]
"""A setting that holds keys; as text they are separated by commas."""


def read_keys_file(file: Path) -> tuple[SecretStr, ...]:
    """The keys of a file, one a line; blank lines and lines that begin with # are passed over.

    Raises ValueError, naming the file and never a key: it cannot be read, holds no key, or a line
    holds what no request can send (a comment behind a key, say).
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"cannot read the key file {file}: {reason}") from None
    keys = []
    for number, line in enumerate(lines, 1):
        key = line.strip()
        if not key or key.startswith("#"):
            continue
        if not is_sendable(key):
            raise ValueError(
                f"line {number} of the key file {file}: expected a key of ASCII letters, digits or signs "
                "without white space; a comment stands on a line of its own"
            )
        keys.append(SecretStr(key))
    if not keys:
        raise ValueError(f"the key file {file} holds no key")
    return tuple(keys)
