"""Reads requests with httptools (llhttp), the oracle for our own parser."""

from __future__ import annotations

from typing import NamedTuple

import httptools

from tracker.domain.clients import AGENT_BYTES
from tracker.wire.request import INCOMPLETE, RequestParser

_OTHER_PROTOCOLS = (
    b"RTSP/", b"ICE/", b"PRI", b"ANNOUNCE", b"DESCRIBE", b"FLUSH", b"GET_PARAMETER", b"PAUSE", b"PLAY", b"RECORD",
    b"REDIRECT", b"SETUP", b"SET_PARAMETER", b"TEARDOWN",
)  # fmt: skip
"""What llhttp reads beside HTTP/1.1."""


class Request(NamedTuple):
    method: bytes
    target: bytes
    forwarded: bytes | None
    keep: bool
    agent: bytes


class _Reader:
    """Collects requests from the callbacks of httptools."""

    def __init__(self, header: bytes) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self._header = header
        self.requests: list[Request] = []
        self._begin()

    def _begin(self) -> None:
        self._target, self._agent = b"", b""
        self._forwarded: bytes | None = None
        self._in_body = False

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"user-agent":
            self._agent = value.strip()[:AGENT_BYTES]
        if not self._in_body and name.lower() == self._header:
            before = self._forwarded
            self._forwarded = value if before is None else b"%b,%b" % (before, value)

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_message_complete(self) -> None:
        parser = self.parser
        keep = parser.should_keep_alive() and not parser.should_upgrade()
        keep = keep and parser.get_http_version() == "1.1"
        self.requests.append(
            Request(parser.get_method(), self._target, self._forwarded, keep, self._agent)
        )
        self._begin()


def expected(data: bytes, header: bytes = b"") -> tuple[list[Request], bool]:
    """Returns what httptools reads, to the first request after which the connection ends; the flag
    tells whether something malformed follows."""
    reader = _Reader(header)
    bad = False
    try:
        reader.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        bad = True
    for number, request in enumerate(reader.requests):
        if not request.keep:
            return reader.requests[: number + 1], False
    return reader.requests, bad


def found(data: bytes, header: bytes = b"") -> tuple[list[Request], str]:
    """Returns what our parser reads, and what is wrong with the rest, "" = nothing."""
    parser = RequestParser(header)
    buffer, at = bytearray(data), 0
    requests: list[Request] = []
    while at < len(buffer):
        taken = parser.parse(buffer, at, len(buffer))
        if taken == INCOMPLETE:
            break
        if taken < 0:
            return requests, parser.problem
        at += taken
        requests.append(
            Request(parser.method, parser.target, parser.forwarded, parser.keep, parser.agent)
        )
        if not parser.keep:
            break
    return requests, ""


def difference(data: bytes, header: bytes = b"") -> str:
    """Says where our parser and the oracle differ; "" = they agree.

    Ours may see later that a line is malformed (when it is whole) or sooner (before the head's
    end), and knows no other protocols, no method CONNECT without a target and no long requests.
    """
    requests, problem = found(data, header)
    oracle, bad = expected(data, header)
    if requests == oracle and (not problem or bad):
        return ""
    known = any(one in data for one in _OTHER_PROTOCOLS) or b"CONNECT" in data
    if problem and (known or problem == "it is too long"):
        return ""
    if requests == oracle and expected(data + b"\r\n\r\n", header)[1]:
        return ""
    return f"{data!r}: {requests} {problem!r}, the oracle: {oracle} {bad}"
