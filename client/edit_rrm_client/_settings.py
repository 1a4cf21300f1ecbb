"""What both clients share before the first request: defaults, the key from the environment, the address."""

import os
from typing import get_args

from edit_rrm_client._calls import Transport
from edit_rrm_client._flows import Endpoint
from edit_rrm_client._version import __version__
from edit_rrm_client.errors import InvalidRequestError

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT_S = 300.0
API_KEY_VARIABLE = "EDIT_RRM_API_KEY"


def endpoint_for(base_url: str, api_key: str | None) -> Endpoint:
    """The endpoint with its headers; the key falls back to EDIT_RRM_API_KEY, an empty one is none."""
    key = os.environ.get(API_KEY_VARIABLE) if api_key is None else api_key
    return Endpoint.at(base_url, api_key=key or None, user_agent=f"edit-rrm-client/{__version__}")


def checked_transport(transport: Transport) -> Transport:
    """`transport` if it is one. Raises InvalidRequestError."""
    if transport not in get_args(Transport):
        raise InvalidRequestError(
            f"transport must be one of {', '.join(get_args(Transport))}, got {transport!r}"
        )
    return transport
