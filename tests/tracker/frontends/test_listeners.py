"""Listening sockets have no option that delays replies."""

from __future__ import annotations

import socket

import pytest

from tracker.frontends.http import server as http_server


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="the option is Linux's")
def test_a_listening_socket_has_no_cork() -> None:
    """Sockets of the API and the health check have no TCP_CORK. Accepted connections inherit a
    cork, and it delays each reply by 200 ms."""
    with http_server.open_socket("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0
