"""The client's own connections to the services' addresses."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from edit_rrm.errors import ProxyUnusableError
from edit_rrm.proxies import open_http, proxy_of
from edit_rrm_client.errors import InvalidRequestError

T = TypeVar("T")


def connections_to(kind: Callable[..., T], urls: Iterable[str], **options: Any) -> T:
    """An httpx client of that kind that needs no proxy for this machine. Raises InvalidRequestError."""
    try:
        return open_http(kind, urls, **options)
    except ProxyUnusableError as error:
        raise InvalidRequestError(str(error), code="bad_proxy") from error


def by_proxy(url: str) -> str:
    """What an error adds where the address is reached through a proxy of the environment; else nothing."""
    proxy = proxy_of(url)
    return "" if proxy is None else f" (by the environment's proxy {proxy}; NO_PROXY leaves hosts out)"
