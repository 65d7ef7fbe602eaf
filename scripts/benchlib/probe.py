"""Waits until a server serves: until it answers an announce of a torrent of the load as it should.

The announce is an ordinary one. opentracker answers `stopped` before it has read its whitelist, and
then refuses what the load announces; the second announce here only removes the first one's peer.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import struct
import time
import urllib.parse
from typing import TYPE_CHECKING

from benchlib.processes import ServerError, check_alive, tail

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

PEER_ID = b"-XX0000-000000000000"
NONE, STOPPED = 0, 3  # events, with the numbers of BEP 15
SERVE_LIMIT = 30.0  # seconds until a server must serve
MAGIC = 0x41727101980  # in place of a connection id in a connect


def wait_serving(
    serves: Callable[[], bool], process: subprocess.Popen[bytes], output: Path
) -> None:
    """Asks again and again. Raises ServerError."""
    deadline = time.monotonic() + SERVE_LIMIT
    while time.monotonic() < deadline:
        check_alive(process, output)
        with contextlib.suppress(OSError, http.client.HTTPException):
            if serves():
                return
        time.sleep(0.02)
    raise ServerError(f"not serving after {SERVE_LIMIT:.0f} s\n{tail(output)}")


def udp_serves(host: str, port: int, info_hash: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect((host, port))
        client.send(struct.pack(">QII", MAGIC, 0, 1))
        connection_id = client.recv(2048)[8:16]
        for event in (NONE, STOPPED):
            fields = struct.pack(">QQQIIIiH", 0, 1, 0, event, 0, 0, 1, 1)
            head = connection_id + struct.pack(">II", 1, 2 + event)
            client.send(head + bytes.fromhex(info_hash) + PEER_ID + fields)
            if not client.recv(2048).startswith(struct.pack(">II", 1, 2 + event) + b"\0\0"):
                return False
    return True


def http_serves(host: str, port: int, path: str, info_hash: str, tls: bool) -> bool:
    """`path` is that of announces, with a key if the tracker wants one."""
    escaped = urllib.parse.quote(bytes.fromhex(info_hash))
    query = f"info_hash={escaped}&peer_id={PEER_ID.decode()}&port=1&left=1&uploaded=0&downloaded=0"
    answers = [
        _get(host, port, f"{path}?{query}&compact=1{event}", tls)
        for event in ("", "&event=stopped")
    ]
    return all(b"8:interval" in answer for answer in answers)


def _get(host: str, port: int, path: str, tls: bool) -> bytes:
    if tls:
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE  # it is ours
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=1, context=unverified
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=1)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().read()
