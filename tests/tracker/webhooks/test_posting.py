"""Tests what becomes of a receiver's answer, over a real socket."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
import trio

from tracker.webhooks.posting import Answer, PostError, Receiver, post

HEAD = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (INTERIM * 2000 + b"HTTP/1.1 204 None\r\n\r\n", Answer(204)),
        (b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\n\r\n", Answer(503, 7.0)),
        (b"HTTP/1.1 503 Busy\r\nretry-after: " + b"9" * 999 + b"\r\n\r\n", Answer(503, 999999999)),
        (b"", "the connection was closed without an answer"),
        (HEAD, "the connection was closed without an answer"),
        (HEAD + b"a: b\r\n" * 9999, "the answer is no HTTP: Receive buffer too long"),
        (HEAD + b"secret \x1b[31m" + b"x" * 9000 + b"\r\n\r\n", "the answer is no HTTP: illegal"),
    ],
)
async def test_answers(nursery: trio.Nursery, sent: bytes, expected: Answer | str) -> None:
    """What a receiver sends becomes an answer, or a short text of printable characters."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            with suppress(trio.BrokenResourceError):  # the client has seen enough
                await stream.send_all(sent)
                await stream.send_eof()

    (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    port = listener.socket.getsockname()[1]
    to = Receiver.of(f"http://127.0.0.1:{port}/hook", None)
    if isinstance(expected, Answer):
        assert await post(to, {}, b"{}") == expected
        return
    with pytest.raises(PostError, match=expected) as raised:
        await post(to, {}, b"{}")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 200
