"""Options that all listening sockets share."""

from __future__ import annotations

import socket

import pytest

from tracker.frontends.http import server as http_server


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="the option is Linux's")
def test_nothing_holds_replies_back() -> None:
    """The API and the health check are served on sockets as they are opened: with a cork in, which
    accepted connections inherit and nobody takes out, each reply would wait for 200 ms.
    """
    with http_server.open_socket("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0
