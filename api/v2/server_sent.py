"""Sends what comes as server-sent events (WHATWG HTML), to a bounded number of clients.

There is no buffer: a slow client lags behind in the log, and the server cuts off a client that
reads nothing. Each event has its position as `id`, so that a client that connects again misses
none.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NamedTuple

import trio
from attrs import define
from quart import g, request

from api.endpoint import Parameter
from api.openapi import shapes
from api.replies import Response, encode
from api.v2.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

MAX_STREAMS: Final = 32  # the most streams open at a time, of all kinds
READERS: Final = 24  # the most before a token that only reads gets no more
STREAM_SECONDS: Final = 300.0  # life of a stream; then its client connects again with the last id
HEARTBEAT_SECONDS: Final = 15.0  # silence after which a stream sends its position

EVENT_STREAM: Final = "text/event-stream"
LAST_EVENT_ID: Final = Parameter(
    name="Last-Event-ID", schema=shapes.STRING, description="the last event that the client has"
)


class Sent(NamedTuple):
    """Events as text; "" = nothing is new. `position`: up to where that is true; "" = none."""

    text: str
    position: str


def text_of(position: object, kind: str, data: object) -> str:
    """Returns the text of an event."""
    return f"id: {position}\nevent: {kind}\ndata: {encode(data)}\n\n"


def resumed(given: dict[str, str]) -> str | None:
    """Returns the id of the client's last event; None = the client wants events from now on."""
    return request.headers.get("last-event-id") or given.get("after")


@define
class Streams:
    """The streams that are open."""

    _open: int = 0

    def reply(self, source: Callable[[], AsyncGenerator[Sent, None]]) -> Response:
        """Makes the response that sends what `source` yields. Raises `Problem`."""
        most = MAX_STREAMS if g.writes else READERS
        if self._open >= most:
            raise Problem(503, "too many streams are open", {"retry-after": "5"})
        valid = g.still_valid
        body = b"" if request.method == "HEAD" else self.chunks(source, most, valid)
        response = Response(body, content_type=EVENT_STREAM)
        response.headers["cache-control"] = "no-store"
        return response

    async def chunks(
        self,
        source: Callable[[], AsyncGenerator[Sent, None]],
        most: int,
        valid: Callable[[], bool] = lambda: True,
    ) -> AsyncIterator[bytes]:
        """Yields the body of a stream, unless `most` are open already, and while the token is
        `valid`.
        """
        if self._open >= most:
            return  # other streams began since the head of this response; the client tries again
        self._open += 1
        try:
            yield b"retry: 1000\n\n"
            ends = trio.current_time() + STREAM_SECONDS
            last_sent = trio.current_time()
            async with aclosing(source()) as found:
                async for each in found:
                    if not valid():
                        return
                    now = trio.current_time()
                    if each.text:
                        yield each.text.encode()
                        last_sent = now
                    elif now - last_sent >= HEARTBEAT_SECONDS:
                        # An id without data is no event, but the client takes it as its position.
                        position = each.position
                        yield f": still here\nid: {position}\n\n".encode() if position else b":\n\n"
                        last_sent = now
                    if now >= ends:
                        return
        finally:
            self._open -= 1
