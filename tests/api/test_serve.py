"""Tests the server on a real socket: exact headers, hostile clients, stops that always end."""

from __future__ import annotations

import json
import re
import socket
import struct
from contextlib import suppress

import pytest
import trio
import trio.testing
from attrs import evolve

from api import app as app_module
from api import connection
from api.app import create_app
from api.auth import Tokens
from api.connection import Http1
from api.limits import MAX_BODY
from api.serve import Settings
from api.streams import BATCH
from tests.api.sockets import GUARD, QUERY, body_of, running, unchunked, until_closed
from tracker.places import Places

STATS = f"/api/v1/stats{QUERY}"
HEALTHY = b'{"status":"Ok"}'


async def assert_alive(server) -> None:
    assert body_of(await server.get("/api/health_check")) == HEALTHY


async def test_exact_headers(app):
    """A response has the contract's headers and no other, so no `server`."""
    async with running(app) as server:
        head = (await server.get(STATS)).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0].startswith("HTTP/1.1 200")
    fields = dict(line.lower().split(": ", 1) for line in head[1:])
    assert set(fields) == {"content-type", "content-length", "x-request-id", "date", "connection"}
    assert fields["content-type"] == "application/json"


async def test_every_answer_has_the_headers_that_it_must_have(app):
    """They stand once in answers of the application, of its limits, and of the server itself."""
    settings = Settings(every=((b"x-policy", b"strict"), (b"content-type", b"never")))
    async with running(app, settings=settings) as server:
        for request, types in (
            (b"GET /api/health_check HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"application/json"),
            (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"never"),
            (b"no request\r\n\r\n", b"never"),
        ):  # fmt: skip
            head = (await server.exchange(request)).partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
            assert head.count(b"x-policy: strict") == 1
            assert [one for one in head if one.startswith(b"content-type")] == [
                b"content-type: " + types
            ]


async def test_keep_alive(app):
    """One connection serves two requests, the second pipelined behind the first."""
    async with running(app) as server:
        one = b"GET /api/health_check HTTP/1.1\r\nHost: x\r\n\r\n"
        last = one.replace(b"Host", b"Connection: close\r\nHost")
        answer = await server.exchange(one + last)
    assert answer.count(HEALTHY) == 2


async def test_head_has_no_body(app):
    """HEAD gets the headers of GET, with the length, and nothing after them."""
    async with running(app) as server:
        request = f"HEAD {STATS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await server.exchange(request.encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert re.search(rb"content-length: [1-9]", answer)
    assert body_of(answer) == b""


async def test_empty_not_found(app):
    """A 404 has no body and no content type on the wire either."""
    async with running(app) as server:
        for path in ("/nothing", "/api//v1/stats", "//api"):
            answer = (await server.get(path + QUERY)).lower()
            assert answer.startswith(b"http/1.1 404")
            assert b"content-type" not in answer
            assert body_of(answer) == b""


async def test_client_address_is_recorded(app, commands):
    """The actor of a change has the address of the connection."""
    async with running(app) as server:
        await server.exchange(
            f"POST /api/v1/key/60{QUERY} HTTP/1.1\r\nHost: x\r\nRemote-Addr: 9.9.9.9\r\n"
            "X-Forwarded-For: 8.8.8.8\r\nConnection: close\r\n\r\n".encode()
        )
    assert [by.address for by in commands.actors] == ["127.0.0.1"]


async def test_long_listing(app, live):
    """A listing has 4000 torrents by default, in chunks that make one array."""
    for number in range(4100):
        live.add(number.to_bytes(20, "big"))
    async with running(app) as server:
        default = unchunked(await server.get(f"/api/v1/torrents{QUERY}"))
        longer = unchunked(await server.get(f"/api/v1/torrents{QUERY}&limit=9999"))
    hashes = [entry["info_hash"] for entry in json.loads(longer)]
    assert (len(json.loads(default)), hashes) == (4000, [f"{n:040x}" for n in range(4100)])


UPGRADE = (
    b"GET /api/health_check HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize("stray", [b"", b"X", b"\x81", b"\x00" * 4096])
async def test_websocket_upgrade(app, stray):
    """An upgrade with stray bytes behind it (hypercorn issue 225) is an ordinary GET."""
    async with running(app, Settings(idle_timeout=0.2)) as server:
        answer = await server.exchange(UPGRADE + stray)
        await assert_alive(server)
    assert answer.startswith(b"HTTP/1.1 200")
    assert body_of(answer).startswith(HEALTHY)


async def test_raising_connection_is_contained(app, monkeypatch, caplog):
    """An exception of a connection is logged, and ends that connection only."""

    async def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    async with running(app) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Http1, "_create_stream", broken)
            assert await server.get("/api/health_check") == b""
        await assert_alive(server)
    assert "broken on purpose" in caplog.text


H2C = b"GET /api/health_check HTTP/1.1\r\nHost: x\r\nConnection: %s\r\nUpgrade: h2c\r\n%s\r\n"


async def test_no_http2_upgrade(app):
    """An offer to upgrade to HTTP/2 is ignored."""
    async with running(app) as server:
        offer = H2C % (b"Upgrade, HTTP2-Settings, close", b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n")
        answer = await server.exchange(offer)
    assert answer.startswith(b"HTTP/1.1 200")


HEAD = b"Host: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /api/v1/torrent/%FF%FE?token=MyAccessToken HTTP/1.1\r\n" + HEAD, 400),
        (b"GET /api/v1/torrent/%zz?token=MyAccessToken HTTP/1.1\r\n" + HEAD, 400),
        (b"GET /api/v1/torrent/%00?token=MyAccessToken HTTP/1.1\r\n" + HEAD, 400),
        (b"GET /api/v1/torrents?token=MyAccessToken&limit=%FF HTTP/1.1\r\n" + HEAD, 400),
        (b"GET /api/v1/stats?token=%zz%&&&=;= HTTP/1.1\r\n" + HEAD, 500),
        (b"GET /api/v1/stats?token=MyAccessToken%0d%0aX: HTTP/1.1\r\n" + HEAD, 500),
        (b"GET http://x/api/health_check HTTP/1.1\r\n" + HEAD, 200),
        (b"GET http://[/x HTTP/1.1\r\n" + HEAD, 400),
        (b"GET stats HTTP/1.1\r\n" + HEAD, 400),
        (b"GET ?token=MyAccessToken HTTP/1.1\r\n" + HEAD, 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HEAD, 400),
        (b"CONNECT x:80 HTTP/1.1\r\n" + HEAD, 400),
        (b"GET /api/health_check HTTP/1.1\r\nHost: [::\xff]:x\r\nConnection: close\r\n\r\n", 200),
        (b"GET /api/health_check HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", 200),
        (b"GET /api/health_check HTTP/1.0\r\n\r\n", 200),
        (b"GET /api/health_check HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n" + HEAD, 400),
        (b"GET /api/health_check HTTP/1.1\r\nContent-Length: x\r\n" + HEAD, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\x00" * 100_000, 400),
    ],
)
async def test_odd_requests(app, request_bytes, status):
    """Each odd request gets a plain answer, no page in HTML, and harms no other client."""
    async with running(app) as server:
        answer = await server.exchange(request_bytes)
        await assert_alive(server)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert (b"<html" in answer.lower(), b"Traceback" in answer) == (False, False)


JSON_POST = (
    f"POST /api/v1/keys{QUERY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
)


@pytest.mark.parametrize("extra", [1, 100_000, 3_000_000])
async def test_declared_large_body(app, commands, extra):
    """A 413 reaches a client that goes on sending a body of too large a declared size."""
    size = MAX_BODY + extra
    async with running(app) as server:
        answer = await server.exchange(
            JSON_POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
        )
        await assert_alive(server)
    assert answer.startswith(b"HTTP/1.1 413")
    assert body_of(answer) == b"Failed to buffer the request body: length limit exceeded"
    assert commands.actors == []


@pytest.mark.parametrize("chunks", [2, 40])
async def test_chunked_large_body(app, chunks):
    """A body of undeclared size gives 413 too, without waiting for its end."""
    chunk = b"%x\r\n" % MAX_BODY + b"x" * MAX_BODY + b"\r\n"
    async with running(app) as server:
        answer = await server.exchange(
            JSON_POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * chunks
        )
        await assert_alive(server)
    assert answer.startswith(b"HTTP/1.1 413")


async def test_slow_head_is_cut_off(app):
    """A client that does not finish its headers is cut off."""
    async with running(app, Settings(idle_timeout=0.1)) as server:
        assert await server.exchange(b"GET /api/health_check HTTP/1.1\r\nHost: x\r\n") == b""
        await assert_alive(server)


@pytest.mark.parametrize(
    ("path", "parts"),
    [("/api/v1/keys", (b"", b"")), ("/api/v2/keys", (b"application/problem+json", b"408"))],
)
async def test_slow_body_is_cut_off(app, commands, monkeypatch, path, parts):
    """A body that takes too long gives 408, in the manner of its version."""
    monkeypatch.setattr(app_module, "REQUEST_TIMEOUT", 0.2)
    head = f"POST {path}{QUERY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    async with running(app, Settings(idle_timeout=0.2)) as server:
        answer = await server.exchange(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        await assert_alive(server)
    assert answer.startswith(b"HTTP/1.1 408")
    assert all(each in answer for each in parts)
    assert commands.actors == []


async def test_reset_connections(app, caplog):
    """Clients that reset the connection at any point cause no error."""
    request = f"GET {STATS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    async with running(app) as server:
        for sent in (b"", request[:10], request, request * 5):
            for _ in range(20):
                client = await server.connect()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if sent:
                    await client.send_all(sent)
                await client.aclose()
        await assert_alive(server)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_idle_connection_is_cut_off(app):
    """A client that keeps an idle connection is cut off, after any number of requests."""
    request = b"GET /api/health_check HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running(app, Settings(idle_timeout=0.2)) as server:
        assert (await server.exchange(request)).count(HEALTHY) == 1
        assert (await server.exchange(request * 3)).count(HEALTHY) == 3


async def test_the_oldest_waiting_connection_gives_way(app):
    """A newcomer to a full server gets the place of the connection that has waited longest."""
    async with (
        running(app, Settings(places=Places(1))) as server,
        await server.connect() as first,
    ):
        await first.send_all(b"GET /api/health_check HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await first.receive_some()
        assert HEALTHY in await server.get("/api/health_check")
        with suppress(trio.BrokenResourceError):
            while await first.receive_some():
                pass


class Endless:
    """Sends without an end, until it is cancelled."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = trio.Event()

    async def __call__(self, scope, receive, send) -> None:
        assert (scope["type"], (await receive())["type"]) == ("http", "http.request")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                self.sent += 1
        finally:
            self.ended.set()


async def wait_stalled(app: Endless) -> None:
    """Waits until `app` is stuck in sending, because its client does not read."""
    before = -1
    while before != app.sent or not app.sent:
        before = app.sent
        await trio.testing.wait_all_tasks_blocked(0.1)


async def test_stalled_reader_is_cut_off(monkeypatch):
    """A client that reads nothing for a while is cut off, without a stop of the server."""
    monkeypatch.setattr(connection, "SEND_TIMEOUT", 0.2)
    app = Endless()
    async with running(app) as server, await server.connect() as stalled:
        await stalled.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await app.ended.wait()


async def test_stalled_reader_does_not_hold_up_the_stop(monkeypatch):
    """At a stop, a client that does not read is cut off after `graceful_timeout`."""
    monkeypatch.setattr(connection, "SEND_TIMEOUT", 10 * GUARD)
    app = Endless()
    async with running(app, Settings(graceful_timeout=0.1)) as server:
        stalled = await server.connect()
        await stalled.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await wait_stalled(app)
        server.shutdown.set()
        with trio.move_on_after(GUARD / 2):
            await server.stopped.wait()
        stopped = server.stopped.is_set()
        await stalled.aclose()  # which would release a server that waits for its client
        assert stopped


async def test_stop_lets_a_request_finish(ports):
    """A stop lets a request in flight finish, and closes an idle connection at once."""
    started, go_on = trio.Event(), trio.Event()

    class Slow(type(ports.commands)):
        async def issue_key(self, *args):
            started.set()
            await go_on.wait()
            return await super().issue_key(*args)

    async with running(
        create_app(evolve(ports, commands=Slow()), Tokens({"a": "MyAccessToken"}))
    ) as server:
        async with await server.connect() as idle, await server.connect() as busy:
            head = f"POST /api/v1/key/60{QUERY} HTTP/1.1\r\nHost: x\r\n\r\n"
            await busy.send_all(head.encode())
            await started.wait()
            server.shutdown.set()
            assert await until_closed(idle) == b""
            go_on.set()
            assert (await until_closed(busy)).startswith(b"HTTP/1.1 200")
        await server.stopped.wait()


async def test_cancelled_server_ends():
    """Cancelling `serve` from outside ends it, whatever its clients do."""
    app = Endless()
    with trio.CancelScope() as scope:
        async with running(app) as server, await server.connect() as stalled:
            await stalled.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await wait_stalled(app)
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught


async def test_client_leaves_in_the_middle(app, live):
    """A client that hangs up during a long listing leaves nothing behind."""
    for number in range(100_000):
        live.add(number.to_bytes(20, "big"))
    async with running(app) as server:
        for _ in range(3):
            async with await server.connect() as leaving:
                head = f"GET /api/v1/torrents{QUERY}&limit=100000 HTTP/1.1\r\nHost: x\r\n\r\n"
                await leaving.send_all(head.encode())
                assert await leaving.receive_some(1000)
        await assert_alive(server)
        server.shutdown.set()
        await server.stopped.wait()


async def test_loop_is_not_held_up_by_a_listing(app, live):
    """Other tasks get a turn at least once per batch while a long listing is made."""
    count = 20 * BATCH
    for number in range(count):
        live.add(number.to_bytes(20, "big"))
    turns = 0

    async def other_task() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with running(app) as server, trio.open_nursery() as nursery:
        nursery.start_soon(other_task)
        await server.get("/api/health_check")
        alone = turns
        await server.get(f"/api/v1/torrents{QUERY}&limit={count}")
        nursery.cancel_scope.cancel()
    assert turns - alone >= count // BATCH
