"""Checks one service from a socket of its own: an HTTP request, or a UDP connect (BEP 15).

It works on plain sockets and reads no more of a response than its head, because a general client
takes three times the CPU, and monitors ask often.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import ssl
import struct
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.health.services import Service

    Result = dict[str, str]

TIMEOUT: Final = 2.0  # seconds for one check
_RESEND = 0.4  # seconds until a connect is sent again, because a flood of others' can push it out
_MAGIC = 0x41727101980  # begins a connect request (BEP 15)
_CONNECT = 0
_REQUEST = b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n(?:[!-9;-~]+:[^\r\n]*\r\n)*\r\n")
_MOST = 16_384  # bytes of a head

T = TypeVar("T")


class _BadAnswerError(Exception):
    """The service answered, but not as a healthy one does."""


async def check(service: Service) -> Result:
    """Returns `{"Ok": …}` or `{"Err": …}`, within `TIMEOUT`. Raises nothing."""
    try:
        with trio.fail_after(TIMEOUT):
            ask = _ask_udp if service.kind == "udp" else _ask_http
            return {"Ok": await ask(service)}
    except trio.TooSlowError:
        return {"Err": "Timed Out"}
    except _BadAnswerError as error:
        return {"Err": str(error)}
    except ssl.SSLError as error:
        return {"Err": str(error)}
    except OSError as error:
        # The whole text may include the address.
        return {"Err": os.strerror(error.errno) if error.errno else str(error)}


async def _ask_udp(service: Service) -> str:
    """Asks for a connection id, which is proof enough. The statistics count it as a connect."""
    transaction = secrets.token_bytes(4)
    with await _connected(service.target, socket.SOCK_DGRAM) as sock:
        answer = b""
        while not answer:
            sock.send(struct.pack(">QI4s", _MAGIC, _CONNECT, transaction))
            with trio.move_on_after(_RESEND):
                answer = await _when_ready(sock, lambda: sock.recv(64))
    if len(answer) < 16 or answer[:8] != struct.pack(">I4s", _CONNECT, transaction):
        raise _BadAnswerError("Unexpected answer to a connect request")
    return "Connected"


async def _ask_http(service: Service) -> str:
    with await _connected(service.target, socket.SOCK_STREAM) as sock:
        if service.greeted:
            sock.send(b"PROXY UNKNOWN\r\n")  # in the name of nobody else
        if not service.tls:
            status = await _status(sock, service)
        else:
            with _context().wrap_socket(sock, do_handshake_on_connect=False) as secure:
                await _when_ready(secure, secure.do_handshake)
                status = await _status(secure, service)
    text = _status_text(status)
    if status != HTTPStatus.OK:
        raise _BadAnswerError(text)
    return text


async def _connected(target: tuple[str, int] | str, kind: socket.SocketKind) -> socket.socket:
    """Returns a socket that does not block. It can take one request without a wait."""
    sock = socket.socket(_family(target), kind)
    try:
        sock.setblocking(False)
        try:
            sock.connect(target)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return sock


def _family(target: tuple[str, int] | str) -> socket.AddressFamily:
    if isinstance(target, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in target[0] else socket.AF_INET


async def _when_ready(sock: socket.socket, call: Callable[[], T]) -> T:
    """Calls as often as it has to wait for the other side."""
    while True:
        try:
            return call()
        except (BlockingIOError, ssl.SSLWantReadError):
            await trio.lowlevel.wait_readable(sock)


@cache
def _context() -> ssl.SSLContext:
    # The certificate is not checked, because it is made out to a name and the check goes to an
    # address: the question is whether the service answers, not who it is.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _status(sock: socket.socket, service: Service) -> int:
    """Sends a request, and reads the response as far as its status."""
    host = "localhost" if service.socket_path else service.binding
    sock.send(_REQUEST % (service.path.encode(), host.encode()))
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = await _when_ready(sock, lambda: sock.recv(4096))
        if not more or len(answer) > _MOST:
            raise _BadAnswerError("connection lost" if not more else "Unexpected answer")
        answer += more
    head = _HEAD.match(answer)
    if head is None:
        raise _BadAnswerError("Unexpected answer")
    return int(head[1])


def _status_text(status: int) -> str:
    """Prints `200 OK`: the number with its usual words, whatever words the service sent."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
