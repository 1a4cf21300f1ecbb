"""What both clients share before the first request: defaults, the key from the environment, the address."""

import os
from collections.abc import Callable, Sequence
from typing import get_args

from edit_rrm_client._calls import Transport
from edit_rrm_client._endpoints import Endpoint
from edit_rrm_client._images import Encoding
from edit_rrm_client._replicas import Replicas
from edit_rrm_client._version import __version__
from edit_rrm_client.errors import InvalidRequestError

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT_S = 300.0
API_KEY_VARIABLE = "EDIT_RRM_API_KEY"


def replicas_at(base_url: str | Sequence[str], api_key: str | None, clock: Callable[[], float]) -> Replicas:
    """The services at one address or several; the key falls back to EDIT_RRM_API_KEY, an empty one is none.

    Raises InvalidRequestError for no address, one that is none, or the same one twice.
    """
    addresses = [base_url] if isinstance(base_url, str) else list(base_url)
    key = os.environ.get(API_KEY_VARIABLE) if api_key is None else api_key
    user_agent = f"edit-rrm-client/{__version__}"
    endpoints = [Endpoint.at(address, api_key=key or None, user_agent=user_agent) for address in addresses]
    distinct = {endpoint.base_url for endpoint in endpoints}
    if not endpoints or len(distinct) < len(endpoints):
        raise InvalidRequestError(
            f"expected one address or several different ones, got {addresses}", code="bad_url"
        )
    return Replicas(endpoints, clock)


def shown_address(replicas: Replicas) -> str:
    """The addresses as a client's repr shows them."""
    addresses = [replica.endpoint.base_url for replica in replicas]
    return repr(addresses[0]) if len(addresses) == 1 else repr(addresses)


def checked_transport(transport: Transport) -> Transport:
    """`transport` if it is one. Raises InvalidRequestError."""
    if transport not in get_args(Transport):
        raise InvalidRequestError(
            f"transport must be one of {', '.join(get_args(Transport))}, got {transport!r}"
        )
    return transport


def checked_encoding(encoding: Encoding) -> Encoding:
    """`encoding` if it is one. Raises InvalidRequestError."""
    if encoding not in get_args(Encoding):
        raise InvalidRequestError(
            f"encoding must be one of {', '.join(get_args(Encoding))}, got {encoding!r}"
        )
    return encoding
