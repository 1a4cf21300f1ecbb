"""Proxies of the environment: none for this machine, each named where it is in the way."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from edit_rrm.errors import ProxyUnusableError
from edit_rrm.proxies import is_loopback, open_http, proxy_of

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def here() -> Iterator[str]:
    """A server on this machine that says so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"here")

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("others", [[], ["http://elsewhere.example:8000"]])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_this_machine_is_reached_directly(
    here: str, others: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    with open_http(httpx.Client, [here, *others]) as http:
        assert http.get(here).text == "here"
        if others:
            with pytest.raises(httpx.ConnectError):
                http.get(others[0])


def test_a_proxy_without_its_package_or_of_another_kind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://user:secret@gate.example:1080")
    with pytest.raises(ProxyUnusableError, match=r"\(socks4://gate\.example:1080\).*NO_PROXY") as caught:
        open_http(httpx.Client, ["http://elsewhere.example"])
    assert "secret" not in str(caught.value)
    open_http(httpx.Client, ["http://localhost:8000", "http://[::1]:8000"]).close()  # needs none

    def without_socksio(**_: object) -> httpx.Client:
        raise ImportError("Using SOCKS proxy, but the 'socksio' package is not installed.")

    with pytest.raises(ProxyUnusableError, match="'socksio' package is not installed"):
        open_http(without_socksio, ["http://elsewhere.example"])


def test_the_proxy_of_an_address_is_told_without_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_of("http://elsewhere.example") is None
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@gate.example:3128")
    monkeypatch.setenv("NO_PROXY", "near.example")
    assert proxy_of("http://elsewhere.example:8000/v1") == "http://gate.example:3128"
    for reached in ("https://elsewhere.example", "http://near.example", "http://127.0.0.5:1"):
        assert proxy_of(reached) is None


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("LocalHost", True),
        ("a.localhost", True), ("10.0.0.1", False), ("localhost.example", False), ("", False),
    ],
)  # fmt: skip
def test_this_machine_is_known(host: str, own: bool) -> None:
    assert is_loopback(host) is own
