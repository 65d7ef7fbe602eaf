"""Checks one service from a socket of its own: an HTTP request, or a UDP connect (BEP 15)."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11
import trio

if TYPE_CHECKING:
    from api.health.services import Service

    Result = dict[str, str]
    Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

TIMEOUT: Final = 2.0  # seconds for one check
_RESEND = 0.4  # seconds until a connect is sent again, because a flood of others' can push it out
_MAGIC = 0x41727101980  # begins a connect request (BEP 15)
_CONNECT = 0


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
    except OSError as error:
        # The text of trio's error would include the address.
        return {"Err": os.strerror(error.errno) if error.errno else str(error)}
    except (trio.BrokenResourceError, h11.RemoteProtocolError) as error:
        return {"Err": str(error.__cause__ or error) or "connection lost"}


async def _ask_udp(service: Service) -> str:
    """Asks for a connection id, which is proof enough. The statistics count it as a connect."""
    target = service.target
    transaction = secrets.token_bytes(4)
    with trio.socket.socket(_family(target), socket.SOCK_DGRAM) as sock:
        await sock.connect(target)
        answer = b""
        while not answer:
            await sock.send(struct.pack(">QI4s", _MAGIC, _CONNECT, transaction))
            with trio.move_on_after(_RESEND):
                answer = await sock.recv(64)
    if len(answer) < 16 or answer[:8] != struct.pack(">I4s", _CONNECT, transaction):
        raise _BadAnswerError("Unexpected answer to a connect request")
    return "Connected"


async def _ask_http(service: Service) -> str:
    target = service.target
    with trio.socket.socket(_family(target), socket.SOCK_STREAM) as sock:
        await sock.connect(target)
        transport = trio.SocketStream(sock)
        if service.greeted:
            await transport.send_all(b"PROXY UNKNOWN\r\n")  # in the name of nobody else
        status = await _status(_under_tls(transport) if service.tls else transport, service)
    text = _status_text(status)
    if status != HTTPStatus.OK:
        raise _BadAnswerError(text)
    return text


def _family(target: tuple[str, int] | str) -> socket.AddressFamily:
    if isinstance(target, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in target[0] else socket.AF_INET


def _under_tls(transport: trio.SocketStream) -> trio.SSLStream[trio.SocketStream]:
    # The certificate is not checked, because it is made out to a name and the check goes to an
    # address: the question is whether the service answers, not who it is.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return trio.SSLStream(transport, context, https_compatible=True)


async def _status(stream: Stream, service: Service) -> int:
    """Sends a request, and reads the response as far as its status."""
    parser = h11.Connection(h11.CLIENT)
    host = "localhost" if service.socket_path else service.binding
    headers = [("Host", host), ("Connection", "close")]
    request = parser.send(h11.Request(method="GET", target=service.path, headers=headers))
    await stream.send_all((request or b"") + (parser.send(h11.EndOfMessage()) or b""))
    while not isinstance(event := parser.next_event(), h11.Response):
        if event is not h11.NEED_DATA:
            raise _BadAnswerError("connection lost")
        parser.receive_data(bytes(await stream.receive_some(4096)))
    return event.status_code


def _status_text(status: int) -> str:
    """Prints `200 OK`: the number with its usual words, whatever words the service sent."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
