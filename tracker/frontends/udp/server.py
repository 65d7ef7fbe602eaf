"""Serves UDP sockets: waits for datagrams, passes all that have arrived to the handler as one
batch, and sends the replies.
"""

from __future__ import annotations

import socket
from time import perf_counter_ns
from typing import TYPE_CHECKING

import trio

from tracker.frontends.fairness import FairShare
from tracker.frontends.udp import kernel_buffers, recvmmsg
from tracker.frontends.udp.handler import WAKE_NS
from tracker.frontends.waiting import wait_out

if TYPE_CHECKING:
    from tracker.frontends.udp.handler import DatagramHandler

_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3  # <linux/in.h>
"""Makes the kernel never fragment an IPv4 reply, because none that leaves the machine has more than
924 bytes. So it need not choose a number for each one's fragments, which took 2 % of the time."""
_WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104  # recognised here, not bound


def open_socket(host: str, port: int, *, v6only: bool = False) -> socket.socket:
    """Returns a bound, non-blocking UDP socket. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        elif recvmmsg.available:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
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
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers datagrams until cancelled. Owns the socket."""
    with sock:
        task_status.started()
        if recvmmsg.available:
            await _serve_batches(sock, handler)
        else:
            await _serve_singly(sock, handler)


async def _serve_batches(sock: socket.socket, handler: DatagramHandler) -> None:
    local_addresses = sock.getsockname()[0] in _WILDCARDS
    batch = recvmmsg.Batch(sock, local_addresses=local_addresses)
    fair_share = FairShare()
    while True:
        try:
            took_ns = (
                await _serve_durably(batch, handler) if handler.settle else handler.serve(batch)
            )
            if took_ns < WAKE_NS:
                await trio.lowlevel.wait_readable(sock)
            else:
                await trio.lowlevel.checkpoint()
        except OSError as error:
            # A refusal of the system that no datagram causes; it passes, or a restart is due.
            await wait_out(error)
            continue
        await fair_share.let_others_run(took_ns)


async def _serve_durably(batch: recvmmsg.Batch, handler: DatagramHandler) -> int:
    """Answers one batch, once its events are on stable storage. Returns the nanoseconds that the
    loop could not do anything else. Raises the `OSError` of `Batch.receive`.
    """
    count = batch.receive()
    if not count:
        return 0
    began = perf_counter_ns()
    if handler.deadline.passed():
        handler.late(count)
        return perf_counter_ns() - began
    handler.begin()
    handler.answer_all(batch, count)
    handler.end()
    took_ns = perf_counter_ns() - began
    if handler.settle is not None:
        await handler.settle()
    unsent = count if handler.deadline.passed() else batch.send(count)
    handler.traffic.batch(count, unsent, perf_counter_ns() - began)
    return took_ns


async def _serve_singly(sock: socket.socket, handler: DatagramHandler) -> None:
    """Serves without recvmmsg: one call for each datagram, but still one batch for all that have
    arrived.
    """
    while True:
        try:
            await trio.lowlevel.wait_readable(sock)
        except OSError as error:  # as in `_serve_batches`
            await wait_out(error)
            continue
        began = perf_counter_ns()
        over = handler.deadline.passed()
        handler.begin()
        replies = []
        for _ in range(recvmmsg.BATCH):
            try:
                data, source = sock.recvfrom(recvmmsg.SLOT)
            except OSError:
                break
            replies.append((None if over else reply_to(sock, handler, data, source), source))
        handler.traffic.ignored += len(replies) * over
        handler.end()
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
