"""Requests of real clients, captured on loopback, and the values a tracker must read in them.

`requests.jsonl` holds one request per line:

* `client`: the client and protocol of the session, `protocol`: "http" or "udp",
  `source`: the address the request came from;
* `request`: for HTTP the request line and headers as text, for UDP the datagram in hexadecimal;
* `expected`: the decoded values. Events are 0 none, 1 completed, 2 started, 3 stopped. Byte strings
  are hexadecimal. Numbers are unsigned, except a UDP `numwant`. Null is a parameter that the client
  left out. `options` holds the bytes after the first 98 of a UDP announce.

The expected values were computed without the tracker's own parsers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen

INFO_HASH = "b6256c5f8e8f5c7c0f0b50a43d52ae7c5662dea5"  # the one torrent of every session


@frozen
class Captured:
    line: int  # in requests.jsonl, from 1
    client: str
    protocol: str
    source: str
    request: str
    expected: dict[str, Any]

    def __str__(self) -> str:
        """A name to identify a test by."""
        return f"{self.client}-{self.line}"

    @property
    def target(self) -> bytes:
        """The target of an HTTP request line."""
        return self.request.split(" ", 2)[1].encode("ascii")

    @property
    def datagram(self) -> bytes:
        return bytes.fromhex(self.request)


def captured(protocol: str, action: str | None = None) -> list[Captured]:
    """All requests of a protocol ("http" or "udp"), optionally of one `expected["action"]` only."""
    lines = Path(__file__).with_name("requests.jsonl").read_text("ascii").splitlines()
    requests = [Captured(number, **json.loads(line)) for number, line in enumerate(lines, 1)]
    return [
        request
        for request in requests
        if request.protocol == protocol and action in (None, request.expected["action"])
    ]
