"""Parses HTTP/1.1 requests in place (RFC 9112), for the HTTP tracker.

It is as strict as llhttp, against which the tests compare it, and knows only what a tracker needs:
the target, a few headers, where the request ends, and whether another one may follow. Bodies are
skipped, because no request to a tracker has a use for one.

This module can be compiled, with the types in the .pxd beside it.
"""

from __future__ import annotations

import re
from typing import Final

from tracker.domain.clients import AGENT_BYTES
from tracker.wire import scan

REQUEST_LIMIT: Final = 16_384
"""Bytes of one request with its body; a scrape of 100 torrents has about 7,500."""
INCOMPLETE: Final = 0
BAD: Final = -1

_METHODS: Final = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND "
    b"REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE "
    b"MKCALENDAR LINK UNLINK SOURCE QUERY".split()
)
_GET: Final = b"GET"
_LONGEST_METHOD: Final = 11
_HOST: Final = rb"[A-Za-z0-9\-_.!~*'();:&=+$,%@\[\]]*+"
_ABSOLUTE: Final = re.compile(rb"[A-Za-z]++://(?![^/?]*@@)%b(?:[/?][!-~]*+)?" % _HOST)
_AUTHORITY: Final = re.compile(rb"(?![^/?]*@@)%b(?:[/?][!-~]*+)?" % _HOST)
_WORD: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_CHUNK: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;(?:%b|(?=[=;]))(?:=(?:%b|%b)?)?)*+\r\n" % (_WORD, _WORD, _QUOTED)
)
_MOST_DIGITS: Final = 40

_NO_METHOD: Final = "its method is unknown"
_NO_TARGET: Final = "its target has a byte that is not allowed there"
_NO_VERSION: Final = "its first line does not end with HTTP/1.1 or 1.0"
_NO_HEADER: Final = "it has a malformed header line"
_NO_LENGTH: Final = "its Content-Length is no number, or not the only one"
_NO_CODING: Final = "its Transfer-Encoding is not understood"
_NO_CHUNK: Final = "its body is malformed"
_TOO_LONG: Final = "it is too long"

# What `_note` found, as bits.
_CLOSE: Final = 1
_UPGRADE_ASKED: Final = 2
_UPGRADE_NAMED: Final = 4
_LENGTH: Final = 8
_CODED: Final = 16
_CHUNKED: Final = 32

# The parser spells some of these out, because a global costs a dictionary look-up.
_MARKS: Final = (_CLOSE, _UPGRADE_ASKED | _UPGRADE_NAMED, _LENGTH | _CODED | _CHUNKED)
if (REQUEST_LIMIT, AGENT_BYTES, *_MARKS) != (16_384, 104, 1, 6, 56):
    raise AssertionError("RequestParser spells these numbers out")


class RequestParser:
    """Reads one request at a time; the attributes are those of the latest complete one."""

    __slots__ = (
        "_flags", "_header", "_length", "agent", "forwarded", "keep", "method", "needed", "problem", "target",
    )  # fmt: skip

    def __init__(self, header: bytes = b"") -> None:
        """`header`: in lower case, the name of the one in which proxies name the client; b"" =
        none, because nobody but a proxy may name another address.
        """
        self._header = header
        self._flags = 0
        self._length = 0
        self.method = b""
        self.target = b""
        self.forwarded: bytes | None = None  # the proxies' header, its lines joined by commas
        self.agent = b""  # the User-Agent, b"" = none
        self.keep = False  # the connection may stay open after the reply
        self.needed = 0  # of an incomplete request: its bytes in all, 0 = not known yet
        self.problem = ""  # what is wrong with a bad one

    def parse(self, data: bytearray, start: int, end: int) -> int:
        """Reads the request at the beginning of `data[start:end]`.

        Returns how many bytes it has, INCOMPLETE, or BAD.
        """
        self._flags = self._length = self.needed = 0
        self.forwarded = None
        self.agent = b""
        at = start
        while at < end and (data[at] == 13 or data[at] == 10):
            at += 1
        stop = at + 3
        if stop < end and data[at] == 71 and data[at + 1] == 69 and data[at + 2] == 84:
            if data[stop] != 32:
                return self._bad(_NO_METHOD)
            self.method = _GET
        else:
            stop = scan.span(data, at, end, 1)  # scan.TOKEN
            if stop == end:
                if stop - at > _LONGEST_METHOD or not _begins_method(scan.cut(data, at, stop)):
                    return self._bad(_NO_METHOD)
                return self._incomplete(start, end)
            self.method = scan.cut(data, at, stop)
            if data[stop] != 32 or self.method not in _METHODS:
                return self._bad(_NO_METHOD)
        at = stop + 1
        while at < end and data[at] == 32:
            at += 1
        stop = scan.span(data, at, end, 0)  # scan.TARGET
        if stop == end:
            return self._incomplete(start, end)
        if data[at] != 47:
            self.target = scan.cut(data, at, stop)
            if not self._is_target():
                return self._bad(_NO_TARGET)
        if data[stop] == 32:
            self.target = scan.cut(data, at, stop)
            at = stop + 1
            while at < end and data[at] == 32:
                at += 1
            if at + 10 > end:
                if data.find(b"\n", at, end) >= 0:
                    return self._bad(_NO_VERSION)
                return self._incomplete(start, end)
            if not (
                data[at] == 72 and data[at + 1] == 84 and data[at + 2] == 84 and data[at + 3] == 80
                and data[at + 4] == 47 and data[at + 6] == 46 and data[at + 8] == 13 and data[at + 9] == 10
            ):  # fmt: skip
                return self._bad(_NO_VERSION)
            version = data[at + 5] << 8 | data[at + 7]
            if version not in (0x3131, 0x3130, 0x3039, 0x3230):  # 1.1, 1.0, 0.9, 2.0
                return self._bad(_NO_VERSION)
            at += 10
        else:  # HTTP/0.9 has no version
            self.target = scan.cut(data, at, stop)
            at = stop
            if data[at] == 13:
                at += 1
                if at == end:
                    return self._incomplete(start, end)
            if data[at] != 10:
                return self._bad(_NO_TARGET)
            at += 1
            version = 0x3039
        at = self._headers(data, at, end, False)
        if at <= 0:
            return self._incomplete(start, end) if at == 0 else BAD
        flags = self._flags
        upgrade = flags & 6 == 6  # _UPGRADE_ASKED, _UPGRADE_NAMED
        if self.method is not _GET and self.method == b"CONNECT":
            upgrade = True
        if flags & 56 and not upgrade:  # _LENGTH, _CODED, _CHUNKED
            at = self._body(data, at, end, start)
            if at <= 0:
                return self._incomplete(start, end) if at == 0 else BAD
        # Of HTTP/1.0 a client may ask for keep-alive and still read to the end (RFC 9112, C.2.2).
        # A request to switch protocols is answered (RFC 9110, 7.8); what follows is not read.
        self.keep = version == 0x3131 and not self._flags & 1 and not upgrade  # _CLOSE
        if at - start > 16_384:  # REQUEST_LIMIT
            return self._bad(_TOO_LONG)
        return at - start

    def _bad(self, problem: str) -> int:
        self.problem = problem
        return BAD

    def _incomplete(self, start: int, end: int) -> int:
        if end - start > REQUEST_LIMIT or self.needed > REQUEST_LIMIT:
            return self._bad(_TOO_LONG)
        return INCOMPLETE

    def _is_target(self) -> bool:
        """Tells whether a target that begins with no slash is one."""
        target = self.target
        if target.startswith(b"*"):
            return True
        form = _AUTHORITY if self.method == b"CONNECT" else _ABSOLUTE
        return target != b"" and form.fullmatch(target) is not None

    def _headers(self, data: bytearray, at: int, end: int, trailing: bool) -> int:
        """Reads header lines to the empty one. Returns where they end, INCOMPLETE or BAD."""
        while True:
            if at >= end:
                return INCOMPLETE
            if data[at] == 13:
                if at + 1 == end:
                    return INCOMPLETE
                return at + 2 if data[at + 1] == 10 else self._bad(_NO_HEADER)
            colon = scan.span(data, at, end, 1)  # scan.TOKEN
            if colon == end:
                return INCOMPLETE
            if colon == at or data[colon] != 58:
                return self._bad(_NO_HEADER)
            value = scan.span(data, colon + 1, end, 3)  # scan.BLANK
            stop = scan.span(data, value, end, 2)  # scan.VALUE
            if stop == end:
                return INCOMPLETE
            if data[stop] != 13:
                return self._bad(_NO_HEADER)
            if stop + 1 == end:
                return INCOMPLETE
            if data[stop + 1] != 10:
                return self._bad(_NO_HEADER)
            size = colon - at
            if size == 10:
                if scan.same(data, at, colon, b"user-agent"):
                    last = stop
                    while last > value and (data[last - 1] == 32 or data[last - 1] == 9):
                        last -= 1
                    self.agent = scan.cut(data, value, min(last, value + 104))  # AGENT_BYTES
                elif scan.same(data, at, colon, b"connection"):
                    self._connection(data, value, stop)
            elif size == 7:
                if stop > value and scan.same(data, at, colon, b"upgrade"):
                    self._flags |= _UPGRADE_NAMED
            elif size == 14:
                if scan.same(data, at, colon, b"content-length") and (
                    trailing or not self._read_length(scan.cut(data, value, stop))
                ):
                    return self._bad(_NO_LENGTH)
            elif size == 16:
                if scan.same(data, at, colon, b"proxy-connection"):
                    self._connection(data, value, stop)
            elif (
                size == 17
                and scan.same(data, at, colon, b"transfer-encoding")
                and (trailing or not self._read_coding(scan.cut(data, value, stop)))
            ):
                return self._bad(_NO_CODING)
            if self._header and not trailing and scan.same(data, at, colon, self._header):
                line = scan.cut(data, value, stop)
                before = self.forwarded
                self.forwarded = line if before is None else b"%b,%b" % (before, line)
            at = stop + 2

    def _connection(self, data: bytearray, start: int, end: int) -> None:
        if scan.same(data, start, end, b"keep-alive"):
            return
        if scan.same(data, start, end, b"close"):
            self._flags |= 1  # _CLOSE
            return
        for token in scan.cut(data, start, end).lower().split(b","):
            name = token.strip(b" \t")
            if name == b"close":
                self._flags |= _CLOSE
            elif name == b"upgrade":
                self._flags |= _UPGRADE_ASKED

    def _read_length(self, text: bytes) -> bool:
        text = text.rstrip(b" \t")
        if self._flags & (_LENGTH | _CODED) or not text.isdigit() or len(text) > _MOST_DIGITS:
            return False
        # A larger one is too long, whatever its value.
        self._length = min(int(text), 2 * REQUEST_LIMIT)
        self._flags |= _LENGTH
        return True

    def _read_coding(self, text: bytes) -> bool:
        if not text or self._flags & (_LENGTH | _CHUNKED):
            return False
        tokens = [token.lstrip(b" \t").rstrip(b" ") for token in text.lower().split(b",")]
        if b"chunked" in tokens[:-1]:
            return False
        self._flags |= _CODED | (_CHUNKED if tokens[-1] == b"chunked" else 0)
        return True

    def _body(self, data: bytearray, at: int, end: int, start: int) -> int:
        """Skips the body. Returns where it ends, INCOMPLETE or BAD."""
        if self._flags & _LENGTH:
            self.needed = at - start + self._length
            return at + self._length if at + self._length <= end else INCOMPLETE
        if not self._flags & _CHUNKED:
            return self._bad(_NO_CODING)
        while True:
            line = data.find(b"\n", at, end)
            if line < 0:
                return INCOMPLETE
            found = _CHUNK.fullmatch(data, at, line + 1)
            if found is None:
                return self._bad(_NO_CHUNK)
            at = line + 1
            size = min(int(found[1], 16), 2 * REQUEST_LIMIT)
            if not size:
                return self._headers(data, at, end, True)
            at += size + 2
            if at > end:
                if at - start > REQUEST_LIMIT:
                    return self._bad(_TOO_LONG)
                return INCOMPLETE
            if data[at - 2] != 13 or data[at - 1] != 10:
                return self._bad(_NO_CHUNK)


def may_end(data: bytearray, start: int, end: int) -> bool:
    """Tells whether a head may end in `data[start:end]`, or has there a LF without CR, which ends
    no line. Before `start` there is at least one byte.
    """
    at = data.find(b"\n", start, end)
    while at >= 0:
        if data[at - 1] != 13 or (at > 1 and data[at - 2] == 10):
            return True
        at = data.find(b"\n", at + 1, end)
    return False


def _begins_method(text: bytes) -> bool:
    return any(method.startswith(text) for method in _METHODS)
