"""Runs the application under Hypercorn's trio server, on sockets that the caller has bound.

The loop around the connections is our own, because Hypercorn's `serve` ends when a single
connection raises, and waits for ever for a client that stops reading. Our loop handles the errors
of each connection, and a stop has a time limit. It does not run the ASGI lifespan, because the
application has no hooks.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import trio
from attrs import field, frozen
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.trio.worker_context import WorkerContext

from api.auth import PROVED
from api.connection import Connection, Served
from api.limits import MAX_BODY, Limited
from tracker.places import Places
from tracker.turns import Turns

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from hypercorn.typing import AppWrapper, ASGIFramework

    from api.connection import Stream
    from tracker.places import Place

_log = logging.getLogger(__name__)

MAX_HEAD: Final = 64 * 1024
"""Largest size of the request line and headers, in bytes. About 1,200 info hashes fit in."""


READERS: Final = 128
"""Connections of tokens that only read, all together, that newcomers do not end. The other places
are left for administrators.
"""
TURNS: Final = 1
"""Steps of connections, TLS handshakes and requests in one pass of the event loop. Most take a
quarter of a millisecond, and an announce waits for those of its pass.
"""


@frozen(kw_only=True)
class Settings:
    idle_timeout: float = 5.0  # seconds; also for the head of a request and for a TLS handshake
    graceful_timeout: float = 3.0  # seconds that requests in flight get at a stop
    max_body: int = MAX_BODY  # bytes
    every: tuple[tuple[bytes, bytes], ...] = ()  # headers that every answer must have
    places: Places = field(factory=lambda: Places(512, 256))
    turns: Turns = field(factory=lambda: Turns(TURNS))


async def serve(
    app: ASGIFramework,
    listeners: Sequence[trio.abc.Listener[trio.SocketStream]],
    shutdown: trio.Event,
    *,
    ssl_context: ssl.SSLContext | None = None,
    settings: Settings | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers requests on `listeners` until `shutdown` is set, then closes the listeners.

    Then idle connections end at once, busy connections after their response, and all of them at
    the latest after `graceful_timeout`. No exception of a connection escapes.
    """
    server = _Server(app, settings or Settings(), ssl_context)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(server.accept, listener, connections)
            task_status.started()
            await shutdown.wait()
            accepting.cancel_scope.cancel()
        await server.stop(connections.cancel_scope)


class _Server:
    def __init__(
        self, app: ASGIFramework, settings: Settings, ssl_context: ssl.SSLContext | None
    ) -> None:
        self._app: AppWrapper = ASGIWrapper(Limited(app, settings.max_body))
        self._config = _hypercorn_config(settings)
        self._context = WorkerContext(None)
        self._settings = settings
        self._places = settings.places
        self._turns = settings.turns
        self._ssl_context = ssl_context
        self._connections: set[Connection] = set()

    async def accept(
        self, listener: trio.abc.Listener[trio.SocketStream], connections: trio.Nursery
    ) -> None:
        """Serves each connection of a listener until it is cancelled, and closes the listener.

        trio's own loop closes each connection a second time, which takes two passes of the loop.
        """
        async with listener:
            while True:
                connections.start_soon(self._connected, await listener.accept())

    async def _connected(self, transport: trio.SocketStream) -> None:
        try:
            await self._serve(transport)
        finally:
            transport.socket.close()

    async def _serve(self, transport: trio.SocketStream) -> None:
        stream = self._wrapped(transport)
        connection = Connection(self._app, self._config, self._context, stream, self._turns)
        place = self._places.take(connection.address(), connection.scope.cancel)
        if place is None:
            return
        connection.state[PROVED] = partial(self._prove, place)
        self._connections.add(connection)
        try:
            await connection.run()
        except* OSError:
            _log.debug("an API client left", exc_info=True)
        except* Exception as errors:
            _log.error("an API connection failed", exc_info=errors)
        finally:
            self._connections.discard(connection)
            self._places.give_back(place)
            # Both refer to themselves, and collections are rare: connections by the thousand would
            # fill the memory.
            vars(connection).clear()
            if isinstance(stream, trio.SSLStream):
                vars(stream).clear()

    def _prove(self, place: Place, *, writes: bool) -> None:
        """Keeps the connection of a valid token, which may change things if `writes`."""
        self._places.keep(place, 0 if writes else READERS)

    def _wrapped(self, transport: trio.SocketStream) -> Stream:
        context = self._ssl_context
        if context is None:
            return transport
        return trio.SSLStream(transport, context, server_side=True, https_compatible=True)

    async def stop(self, connections: trio.CancelScope) -> None:
        await self._context.terminated.set()
        for connection in self._connections:
            connection.end_if_idle()
        connections.deadline = trio.current_time() + self._settings.graceful_timeout


def _hypercorn_config(settings: Settings) -> Served:
    config = Served()
    config.every = settings.every
    config.accesslog = None
    config.errorlog = _log
    config.include_server_header = False
    config.alpn_protocols = ["http/1.1"]
    config.h11_max_incomplete_size = MAX_HEAD
    config.keep_alive_timeout = settings.idle_timeout
    config.ssl_handshake_timeout = settings.idle_timeout
    return config
