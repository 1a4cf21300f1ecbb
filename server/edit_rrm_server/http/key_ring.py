"""Who a request's key belongs to."""

import base64
import binascii
import hmac
from collections.abc import Sequence

from pydantic import SecretStr

from edit_rrm_server.errors import RequestRefusedError


class KeyRing:
    """The keys that may call. Without any, everyone may."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._keys = [key.get_secret_value().encode() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def owner(self, authorization: str | None) -> int:
        """The position of the key that an Authorization header carries.

        A bearer token, or the password of basic authentication: that is how a key travels from a client
        whose only setting is an address (`http://any:<key>@host`).

        Raises RequestRefusedError: missing_key, or bad_key.
        """
        scheme, _, credentials = (authorization or "").partition(" ")
        key = credentials.strip() if scheme.lower() == "bearer" else ""
        if scheme.lower() == "basic":
            key = _password(credentials)
        if not key:
            raise RequestRefusedError("missing_key", "send the key as 'Authorization: Bearer <key>'")
        given = key.encode()
        # Compares with every key, so that the time tells neither which one matched nor how far.
        matches = [hmac.compare_digest(given, known) for known in self._keys]
        if not any(matches):
            raise RequestRefusedError("bad_key", "the key is not one of this service's")
        return matches.index(True)


def _password(credentials: str) -> str:
    """The password of basic credentials; empty where they are none."""
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2].strip()
