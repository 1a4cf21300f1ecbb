"""Connections of the real httpx transport, over a network that is only bytes in memory."""

import json
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
import pytest
from scripted_service import MODELS_JSON

from edit_rrm_client import InvalidRequestError, RetryPolicy, RewardClient, UnavailableError

BODY = json.dumps(MODELS_JSON).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


class CountingNetwork(httpcore.MockBackend):
    """Every connection answers every request; counts how many were made."""

    made = 0

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        self.made += 1
        return super().connect_tcp(*args, **kwargs)


@pytest.mark.parametrize("addresses", [["http://a"], ["http://a", "http://b"]])
def test_one_connection_a_service_carries_all_its_calls(addresses: Iterable[str]) -> None:
    network = CountingNetwork([ANSWER] * 4)
    http = httpx.Client()
    http._transport._pool = httpcore.ConnectionPool(  # type: ignore[attr-defined]
        ssl_context=ssl.create_default_context(), network_backend=network
    )
    client = RewardClient(list(addresses), http_client=http)
    for _ in range(4):
        assert client.models().models[0].name == "tiny"
    assert network.made == len(list(addresses))


def test_an_error_names_the_proxy_it_came_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:9")
    client = RewardClient("http://elsewhere.example:8000", retries=RetryPolicy(attempts=1), timeout_s=5.0)
    with (
        client,
        pytest.raises(UnavailableError, match=r"the environment's proxy http://127.0.0.1:9; NO_PROXY"),
    ):
        client.models()
    with RewardClient("http://127.0.0.1:9", retries=RetryPolicy(attempts=1)) as near:
        assert "proxy" not in near.health().detail


def test_a_proxy_that_cannot_be_used_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://gate.example:1080")
    with pytest.raises(InvalidRequestError, match=r"gate\.example") as caught:
        RewardClient("http://elsewhere.example:8000")
    assert caught.value.code == "bad_proxy"
