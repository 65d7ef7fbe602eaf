"""Tests the recorded address of a client behind reverse proxies."""

from __future__ import annotations

import pytest

from api.app import create_app
from api.auth import Tokens
from api.proxies import Proxies
from tests.api.asking import TOKEN
from tests.api.sockets import QUERY, running

TOKENS = Tokens({"a": "MyAccessToken"})
TRUSTED = ("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([], "127.0.0.1"),
        ([""], "127.0.0.1"),
        (["9.9.9.9"], "9.9.9.9"),
        (["8.8.8.8, 9.9.9.9"], "9.9.9.9"),
        (["8.8.8.8", "9.9.9.9"], "9.9.9.9"),
        (["8.8.8.8, 9.9.9.9, 10.1.2.3 , 2001:db8::7"], "9.9.9.9"),
        (["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        (["8.8.8.8, nonsense, 10.0.0.2"], "10.0.0.2"),
        (["8.8.8.8,"], "127.0.0.1"),
        (["9.9.9.9:4711"], "9.9.9.9"),
        (["[2001:db9::1]:4711"], "2001:db9::1"),
        (["[2001:db9::1]"], "2001:db9::1"),
        (["9.9.9.9:x"], "127.0.0.1"),
        (["[2001:db9::1"], "127.0.0.1"),
        (["::ffff:9.9.9.9"], "9.9.9.9"),
        (["::ffff:10.9.9.9, 10.0.0.2"], "10.9.9.9"),
    ],
)
async def test_forwarded_for(ports, commands, forwarded, address):
    """The client is the right-most address that is not trusted, up to the first invalid one."""
    app = create_app(ports, TOKENS, Proxies(TRUSTED))
    headers = "".join(f"X-Forwarded-For: {one}\r\n" for one in forwarded)
    async with running(app) as server:
        head = (
            f"POST /api/v1/key/60{QUERY} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n"
        )
        assert (await server.exchange(head.encode())).startswith(b"HTTP/1.1 200")
    assert [by.address for by in commands.actors] == [address]


@pytest.mark.parametrize(
    ("header", "value", "address"),
    [
        ("CF-Connecting-IP", "9.9.9.9", "9.9.9.9"),
        (
            "Forwarded",
            'for=8.8.8.8, for="[2001:db9::1]:80";proto=https, for=10.0.0.1',
            "2001:db9::1",
        ),
    ],
)
async def test_other_headers(ports, commands, header, value, address):
    """Only the configured header names the client."""
    app = create_app(ports, TOKENS, Proxies(TRUSTED, header))
    async with running(app) as server:
        head = f"POST /api/v1/key/60{QUERY} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\n"
        rest = f"{header}: {value}\r\nConnection: close\r\n\r\n"
        assert (await server.exchange((head + rest).encode())).startswith(b"HTTP/1.1 200")
    assert [by.address for by in commands.actors] == [address]


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",), ("unix",)])
async def test_forwarded_for_of_an_untrusted_client(ports, commands, trusted):
    """The header of a client that is no trusted proxy is ignored."""
    app = create_app(ports, TOKENS, Proxies(trusted))
    async with running(app) as server:
        await server.exchange(
            f"POST /api/v1/key/60{QUERY} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\n"
            "Connection: close\r\n\r\n".encode()
        )
    assert [by.address for by in commands.actors] == ["127.0.0.1"]


@pytest.mark.parametrize(("trusted", "address"), [((), ""), (("unix",), "9.9.9.9")])
async def test_unix_socket(ports, commands, trusted, address):
    """A client of the Unix socket has no address. As a trusted proxy it may name its client's."""
    app = create_app(ports, TOKENS, Proxies(trusted))
    client = app.test_client()
    await client.open(
        f"/api/v1/key/60?{TOKEN}",
        method="POST",
        headers={"X-Forwarded-For": "8.8.8.8, 9.9.9.9"},
        scope_base={"client": None},
    )
    assert [by.address for by in commands.actors] == [address]
