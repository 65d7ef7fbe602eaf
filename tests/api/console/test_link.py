"""Tests the console's connections to the API with servers that answer oddly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from api.console import link
from api.console.api import LinkedApi, ProblemError
from api.console.link import DownError, Link, Place

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

OK = b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}"
Serve = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def served(serve: Serve) -> AsyncGenerator[tuple[Link, list[int]], None]:
    """Yields a link to a server that handles each connection with `serve`, and their number."""
    counted = [0]

    async def handle(stream: trio.SocketStream) -> None:
        counted[0] += 1
        await serve(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, handle, 0)
        port = listeners[0].socket.getsockname()[1]
        to = Link(Place.of(f"http://127.0.0.1:{port}", None), lambda: 5.0)
        yield to, counted
        to.close()
        nursery.cancel_scope.cancel()


async def answer_each(stream: trio.SocketStream) -> None:
    while await stream.receive_some():
        await stream.send_all(OK)


async def answer_once(stream: trio.SocketStream) -> None:
    """Says that the connection stays, and closes it, as a server that ends idle ones does."""
    await stream.receive_some()
    await stream.send_all(OK)


async def test_connections_are_kept_for_reads() -> None:
    """Reads share a connection. A change has a new one, because it must not be sent twice."""
    async with served(answer_each) as (to, counted):
        api = LinkedApi(to, "t")
        for _ in range(3):
            assert await api.get("/a") == {}
        assert counted == [1]
        await api.change("PUT", "/a", {})
        assert counted == [2]


async def test_a_kept_connection_that_was_closed_is_no_failure() -> None:
    async with served(answer_once) as (to, counted):
        for _ in range(3):
            assert await LinkedApi(to, "t").get("/a") == {}
        assert counted == [3]
        assert to.down_since is None


ODD = [
    (b"", "without a whole answer"),
    (b"HTTP/1.1 200 \r\ncontent-length: 9\r\n\r\n{}", "whole answer"),
    (b"SSH-2.0-x\r\n\r\n", "no HTTP"),
    (b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "no HTTP"),
    (b"HTTP/1.1 200 \r\ncontent-length: 5000\r\n\r\n" + bytes(5000), "more than 1000 bytes"),
]


@pytest.mark.parametrize(("said", "why"), ODD)
async def test_odd_answers_are_no_answer(
    said: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "MOST_BYTES", 1000)

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(said)

    async with served(serve) as (to, _):
        with pytest.raises(DownError, match=why) as caught:
            await LinkedApi(to, "t").get("/a")
        assert caught.value.since == to.down_since == 5.0


async def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.01)

    async def say_nothing(_: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with served(say_nothing) as (to, _):
        with pytest.raises(DownError, match="no answer within"):
            await LinkedApi(to, "t").get("/a")


async def test_nobody_listens() -> None:
    async with served(answer_each) as (to, _):
        pass
    with pytest.raises(DownError, match="refused"):
        await LinkedApi(to, "t").get("/a")


REFUSALS = [
    (b'{"title": "Not Found", "detail": "no key"}', (404, "Not Found", "no key")),
    (b"[]", (404, "Error", "")),
    (b"<html>", (502, "What answers is not a tracker's API", "")),
]


@pytest.mark.parametrize(("body", "wanted"), REFUSALS)
async def test_refusals_have_their_words(body: bytes, wanted: tuple[int, str, str]) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 \r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async with served(serve) as (to, _):
        with pytest.raises(ProblemError) as caught:
            await LinkedApi(to, "t").get("/a")
        error = caught.value
        assert (error.status, error.title, error.detail) == wanted


async def test_what_is_sent() -> None:
    """Parts of a path are quoted, texts are UTF-8, and a reason cannot add a header."""
    received = bytearray()

    async def serve(stream: trio.SocketStream) -> None:
        received.extend(await stream.receive_some())
        await stream.send_all(OK)

    async with served(serve) as (to, _):
        api = LinkedApi(to, "tökén", "192.0.2.1").saying("größer", "k1")
        await api.get("/a/{who}", {"type": ["x", "y"], "after": None}, who="../?b#c")
        head = bytes(received).decode()
        assert head.startswith("GET /a/..%2F%3Fb%23c?type=x&type=y HTTP/1.1\r\n")
        for line in ("authorization: Bearer tökén", "x-reason: größer", "idempotency-key: k1",
                     "x-forwarded-for: 192.0.2.1"):  # fmt: skip
            assert f"\r\n{line}\r\n" in head
        for text in ("a\r\nx-evil: 1", "a\0b", "a\x7f", "\x85"):
            for bad in (api.saying(text), api.saying("a", text), LinkedApi(to, text)):
                with pytest.raises(ProblemError, match="has a control character") as caught:
                    await bad.get("/a")
                assert text not in str(caught.value)
        assert to.down_since is None  # the tracker is not at fault


async def test_quick_requests_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits for the answer to the one before it; one that was given up holds up none."""
    monkeypatch.setattr(link, "TURN_SECONDS", 60.0)
    open_now, most = 0, 0

    async def count(stream: trio.SocketStream) -> None:
        nonlocal open_now, most
        while await stream.receive_some():
            open_now += 1
            most = max(most, open_now)
            await trio.lowlevel.checkpoint()
            open_now -= 1
            await stream.send_all(OK)

    async with served(count) as (to, _):
        api = LinkedApi(to, "t")
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for number in range(9):
                    nursery.start_soon(_asked_or_given_up, api, number % 3 == 1)
        assert most == 1
        assert await api.get("/a") == {}


async def _asked_or_given_up(api: LinkedApi, gives_up: bool) -> None:
    with trio.CancelScope() as scope:
        if gives_up:
            scope.deadline = trio.current_time()
        assert await api.get("/a") == {}


async def test_a_slow_answer_holds_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "TURN_SECONDS", 0.01)
    both = trio.Event()
    waiting = 0

    async def answer_both(stream: trio.SocketStream) -> None:
        nonlocal waiting
        await stream.receive_some()
        waiting += 1
        if waiting == 2:
            both.set()
        await both.wait()
        await stream.send_all(OK)

    async with served(answer_both) as (to, _):
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    nursery.start_soon(LinkedApi(to, "t").get, "/a")
