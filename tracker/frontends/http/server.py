"""Serves the HTTP tracker's sockets: one task for each listener lets its engine serve
(tracker/frontends/http/engine.py).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import trio

from tracker.frontends.fairness import Turn
from tracker.frontends.http.engine import Engine
from tracker.frontends.waiting import wait_out

if TYPE_CHECKING:
    import ssl

    from tracker.frontends.http.connections import ConnectionLimits, Greeting
    from tracker.frontends.http.handler import RequestHandler

BACKLOG = 4096  # connections not yet accepted


def open_socket(host: str, port: int, *, v6only: bool = False) -> socket.socket:
    """Returns a listening, non-blocking TCP socket. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _save_segments(listener: socket.socket) -> None:
    """Sets options that accepted connections inherit: no segment for an ACK alone, because the
    reply carries it, and no waiting for more data before one with a reply.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_QUICKACK"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)


async def serve(
    listener: socket.socket,
    handler: RequestHandler,
    limits: ConnectionLimits,
    tls: ssl.SSLContext | None = None,
    greeting: Greeting | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers requests until cancelled, under TLS if `tls` is given. Owns the listening socket.

    `limits` bounds the waiting connections of all listeners that share it. `greeting`: what each
    connection begins with, before TLS; None = nothing.
    """
    with listener:
        if listener.family != socket.AF_UNIX:
            _save_segments(listener)
        async with trio.open_nursery() as nursery:
            engine = Engine(listener.fileno(), handler, limits, greeting, tls)
            task_status.started()
            try:
                idle = trio.lowlevel.ParkingLot()
                nursery.start_soon(_expire, engine, idle)
                await _run(engine, handler, nursery, idle)
            finally:
                engine.close()


async def _run(
    engine: Engine,
    handler: RequestHandler,
    nursery: trio.Nursery,
    idle: trio.lowlevel.ParkingLot,
) -> None:
    turn = Turn()
    while True:
        try:
            if not turn.over():
                if engine.busy():
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(engine.fileno())
        except OSError as error:  # the system refuses to wait
            await wait_out(error)
        await turn.begin()
        engine.serve(turn.until)
        if engine.refused is not None:
            nursery.start_soon(_accept_later, engine, engine.refused)
            engine.refused = None
        if handler.settle is not None:
            turn.over()
            await handler.settle()
            engine.send_held()
        if idle and engine.waits():
            idle.unpark()


async def _accept_later(engine: Engine, error: OSError) -> None:
    """Waits out what the system refuses: no descriptors, no memory. Connections end meanwhile."""
    refused: OSError | None = error
    while refused is not None:
        await wait_out(refused)
        refused = None
        try:
            engine.accept_again()
        except OSError as again:
            refused = again


async def _expire(engine: Engine, idle: trio.lowlevel.ParkingLot) -> None:
    """Ends connections in time; while there is none it waits in `idle`, and costs nothing."""
    while True:
        if not engine.waits():
            await idle.park()
        await trio.sleep(engine.tick_seconds)
        while engine.expire():
            await trio.lowlevel.checkpoint()
