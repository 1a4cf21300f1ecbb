"""The socket the service listens on."""

import socket

from edit_rrm_server.process.serving import _listen


def test_an_answer_is_not_held_back_until_its_headers_are_acknowledged() -> None:
    with (
        _listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.proto == socket.IPPROTO_TCP


def test_who_reads_the_announced_address_is_not_refused() -> None:
    with _listen("127.0.0.1", 0) as listening:
        socket.create_connection(listening.getsockname(), timeout=5).close()
