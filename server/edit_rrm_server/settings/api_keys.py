"""API keys as settings: which texts can be one, the file they may come from, and what it says of each."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import NoDecode

from edit_rrm.wire import Priority
from edit_rrm_server.settings.lists import split_at_commas


class KeyOwner(BaseModel):
    """A key, its owner's name, and what the owner may take of the service (admission/callers.py)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: SecretStr
    name: str = Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")
    lane: Priority = "interactive"
    jobs: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


def is_sendable(key: str) -> bool:
    """Whether `Authorization: Bearer <key>` can carry the text: printable ASCII without white space."""
    return key.isascii() and key.isprintable() and key != "" and " " not in key


def _check(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not all(is_sendable(key.get_secret_value()) for key in keys):
        raise ValueError("expected keys of ASCII letters, digits or signs without white space")
    return keys


Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split_at_commas), AfterValidator(_check)]
"""A setting that holds keys; as text they are separated by commas."""


def read_keys_file(file: Path) -> tuple[KeyOwner, ...]:
    """The keys of a file, one a line; blank lines and lines that begin with # are passed over.

    After a key may stand its owner's `name=`, and limits: `lane=`, `jobs=`, `tokens_per_minute=`.

    Raises ValueError, naming the file and never a key: it cannot be read, holds no key, names somebody
    twice, or a line holds what no request can send (a comment behind a key, say) or an unknown field.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"cannot read the key file {file}: {reason}") from None
    owners: list[KeyOwner] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        owner = _owner(line.split(), f"line {number} of the key file {file}", len(owners) + 1)
        if owner.name in {known.name for known in owners}:
            raise ValueError(f"line {number} of the key file {file}: {owner.name} has a key already")
        owners.append(owner)
    if not owners:
        raise ValueError(f"the key file {file} holds no key")
    return tuple(owners)


def _owner(words: list[str], where: str, number: int) -> KeyOwner:
    """What a line says. Raises ValueError, which repeats nothing of it but the names of fields."""
    key, *rest = words
    fields = dict(word.partition("=")[::2] for word in rest)
    is_plain = all("=" in word for word in rest) and len(fields) == len(rest) and "key" not in fields
    if not is_sendable(key) or not is_plain:
        raise ValueError(
            f"{where}: expected a key of ASCII letters, digits or signs without white space, and after it "
            "fields such as name=trainer-a; a comment stands on a line of its own"
        )
    try:
        return KeyOwner.model_validate({"name": f"key-{number}", **fields, "key": key})
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"{where}: {found}") from None
