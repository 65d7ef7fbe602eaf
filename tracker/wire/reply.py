"""Builds the HTTP response to an announce with a compact list of peers, in one piece.

Compiled callers use the function of the same name in reply.pxd.
"""

from __future__ import annotations

from tracker.wire import http

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%s\r\n"


def announced(
    interval: int,
    min_interval: int,
    complete: int,
    incomplete: int,
    peers4: bytes,
    peers6: bytes,
    keep: bool,
) -> bytes:
    """Returns head and body of the response; the body is that of `http.announce_reply`."""
    body = http.announce_reply(interval, min_interval, complete, incomplete, peers4, peers6)
    return _HEAD % (len(body), b"" if keep else b"Connection: close\r\n") + body
