"""Serves UDP sockets: waits for datagrams, passes all that have arrived to the handler as one
batch, and sends the replies.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from time import perf_counter_ns
from typing import TYPE_CHECKING

import trio

from tracker.frontends.fairness import Turn
from tracker.frontends.udp import kernel_buffers, receivers, recvmmsg
from tracker.frontends.waiting import wait_out

if TYPE_CHECKING:
    from tracker.frontends.udp.handler import DatagramHandler

_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3  # <linux/in.h>
"""Makes the kernel never fragment an IPv4 reply, because none that leaves the machine has more than
924 bytes. So it need not choose a number for each one's fragments, which took 2 % of the time."""
_WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104  # recognised here, not bound


def open_sockets(
    host: str, port: int, count: int, *, v6only: bool = False
) -> tuple[socket.socket, ...]:
    """Returns this many sockets at one port; the kernel shares the clients out. Raises `OSError`.

    The first one binds alone, because otherwise another process of the same user could share the
    port, and a second tracker would take half of the clients unnoticed.
    """
    sockets = [open_socket(host, port, v6only=v6only)]
    try:
        if count > 1:
            sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = sockets[0].getsockname()[1]
        while len(sockets) < count:
            sockets.append(open_socket(host, port, v6only=v6only, shares=True))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return tuple(sockets)


def open_socket(
    host: str, port: int, *, v6only: bool = False, shares: bool = False
) -> socket.socket:
    """Returns a bound, non-blocking UDP socket. `shares`: at a port with others that do.

    Raises `OSError`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        elif recvmmsg.available:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        if shares:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kernel_buffers.enlarge(sock)
        if host in _WILDCARDS and recvmmsg.available:
            recvmmsg.report_local_addresses(sock)
        sock.bind((host, port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


async def serve(
    sock: socket.socket,
    handler: DatagramHandler,
    others: tuple[socket.socket, ...] = (),
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers datagrams until cancelled. Owns the socket, and the `others` at the same port.

    With others, each socket has a thread; they need `receivers.available`.
    """
    with ExitStack() as owned:
        for each in (sock, *others):
            owned.enter_context(each)
        if others:
            await _serve_received((sock, *others), handler, task_status)
            return
        task_status.started()
        if recvmmsg.available:
            await _serve_batches(sock, handler)
        else:
            await _serve_singly(sock, handler)


async def _serve_batches(sock: socket.socket, handler: DatagramHandler) -> None:
    local_addresses = sock.getsockname()[0] in _WILDCARDS
    batch = recvmmsg.Batch(sock, local_addresses=local_addresses)
    turn = Turn()
    while True:
        try:
            if not turn.over() and batch.first == batch.count:
                await trio.lowlevel.wait_readable(sock)
            await turn.begin()
            if handler.settle is None:
                handler.serve(batch, turn.until)
            else:
                await _serve_durably(batch, handler, turn)
        except OSError as error:
            # A refusal of the system that no datagram causes; it passes, or a restart is due.
            turn.over()
            await wait_out(error)


async def _serve_durably(batch: recvmmsg.Batch, handler: DatagramHandler, turn: Turn) -> None:
    """Answers what there is time for, once its events are on stable storage.

    Raises the `OSError` of `Batch.receive`.
    """
    if handler.settle is None or not batch.filled(recvmmsg.BATCH):
        return
    began, first = perf_counter_ns(), batch.first
    if handler.deadline.passed():
        handler.traffic.batch(handler.late(batch) - first, 0, 0)
        return
    handler.begin()
    last = handler.answer_some(batch, turn.until)
    handler.end()
    turn.over()
    await handler.settle()
    unsent = last - first if handler.deadline.passed() else batch.send(last, first)
    handler.traffic.batch(last - first, unsent, perf_counter_ns() - began)


async def _serve_received(
    sockets: tuple[socket.socket, ...],
    handler: DatagramHandler,
    task_status: trio.TaskStatus[None],
) -> None:
    """Decides what threads receive and send."""
    local_addresses = sockets[0].getsockname()[0] in _WILDCARDS
    threads = receivers.Receivers(sockets, handler, local_addresses=local_addresses)
    turn = Turn()
    try:
        threads.start()
        task_status.started()
        while True:
            try:
                if not turn.over():
                    if threads.sleeps():
                        await trio.lowlevel.wait_readable(threads.fileno())
                        threads.woken()
                    else:
                        await trio.lowlevel.checkpoint()
            except OSError as error:  # the system refuses to wait
                await wait_out(error)
            refused = threads.refused()
            if refused is not None:
                await wait_out(refused)
            await turn.begin()
            if handler.settle is None:
                threads.serve(turn.until)
            else:
                await threads.serve_durably(turn)
    finally:
        threads.close()


async def _serve_singly(sock: socket.socket, handler: DatagramHandler) -> None:
    """Serves without recvmmsg: one call for each datagram, but still one batch for all that have
    arrived.
    """
    turn = Turn()
    while True:
        try:
            await trio.lowlevel.wait_readable(sock)
        except OSError as error:  # as in `_serve_batches`
            await wait_out(error)
            continue
        await turn.begin()
        began = perf_counter_ns()
        over = handler.deadline.passed()
        handler.begin()
        replies: list[tuple[bytes | None, tuple[str, int]]] = []
        while perf_counter_ns() < turn.until:
            try:
                data, source = sock.recvfrom(recvmmsg.SLOT)
            except OSError:
                break
            replies.append((None if over else reply_to(sock, handler, data, source), source))
        handler.traffic.ignored += len(replies) * over
        handler.end()
        turn.over()
        if handler.settle is not None:
            await handler.settle()
        unsent = 0
        for reply, source in replies:
            if reply is not None:
                if handler.deadline.passed():
                    unsent += 1
                    continue
                try:
                    sock.sendto(reply, source)
                except OSError:  # dropped, as in Batch.send
                    unsent += 1
        handler.traffic.batch(len(replies), unsent, perf_counter_ns() - began)


def reply_to(
    sock: socket.socket, handler: DatagramHandler, data: bytes, source: tuple[str, int]
) -> bytes | None:
    """Answers one datagram from `source`; None when it gets no reply."""
    address = socket.inet_pton(sock.family, source[0].partition("%")[0])
    if address.startswith(bytes(10) + b"\xff\xff"):
        address = address[12:]
    if not source[1]:
        handler.traffic.ignored += 1
        return None
    return handler.answer(data, 0, len(data), address)
