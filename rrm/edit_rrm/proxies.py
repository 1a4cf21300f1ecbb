"""Proxies of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY), which httpx takes by itself.

This machine is never reached through one, whatever the variables say, and what goes wrong with one names it.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from edit_rrm.errors import ProxyUnusableError

T = TypeVar("T")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: localhost, 127.0.0.0/8, ::1."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def proxy_of(url: str) -> str | None:
    """The proxy a URL is reached through, without its credentials; None for none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    return _without_credentials(proxy)


def open_http(kind: Callable[..., T], urls: Iterable[str], **options: Any) -> T:
    """`kind(**options)`, an httpx client (blocking or asynchronous) for these addresses.

    Those of this machine are asked directly; if all are, no proxy is looked at. Raises ProxyUnusableError.
    """
    hosts = {urlsplit(url).netloc.rpartition("@")[2] for url in urls}
    own = {host for host in hosts if is_loopback(urlsplit(f"//{host}").hostname or "")}
    if hosts and own == hosts:
        return kind(trust_env=False, **options)
    try:
        return kind(mounts={f"all://{host}": None for host in own}, **options)
    except (ImportError, ValueError) as error:
        named = ", ".join(sorted({_without_credentials(proxy) for proxy in getproxies().values()}))
        raise ProxyUnusableError(
            f"a proxy of the environment ({named}) cannot be used: {error}; NO_PROXY leaves hosts out"
        ) from error


def _without_credentials(proxy: str) -> str:
    scheme, _, rest = proxy.rpartition("://")
    address = rest.rpartition("@")[2]
    return f"{scheme}://{address}" if scheme else address
