"""Reads the query of an announce in place, as nearly all clients write it.

`http.parse_announce` knows everything that a query may be. This reads only what needs no second
look, several times as fast, and says so when it is something else. Where it reads a query, both
give the same values.

This module can be compiled, with the types in the .pxd beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.wire import http, scan

if TYPE_CHECKING:
    from tracker.wire.http import Announce

ABSENT = -1  # of numwant

# `read` spells these out, because a global costs a dictionary look-up.
if (http.NONE, http.COMPLETED, http.STARTED, http.STOPPED, http.LEFT_UNKNOWN, http.LONG) != (
    0,
    1,
    2,
    3,
    2**64 - 1,
    1024,
):
    raise AssertionError("AnnounceQuery.read spells these numbers out")


class AnnounceQuery:
    """One announce, as the client sent it: the fields of `http.Announce`, used again for the next
    one.
    """

    __slots__ = (
        "compact", "downloaded", "event", "info_hash", "ip", "key", "left", "no_peer_id", "numwant", "passkey",
        "peer_id", "port", "uploaded",
    )  # fmt: skip

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.info_hash = self.peer_id = self.key = b""
        self.port = self.uploaded = self.downloaded = self.event = 0
        self.left = 0xFFFFFFFFFFFFFFFF  # http.LEFT_UNKNOWN
        self.numwant = -1  # ABSENT
        self.compact = True
        self.no_peer_id = False
        self.passkey: bytes | None = None
        self.ip: bytes | None = None

    def take(self, announce: Announce) -> None:
        """Takes the fields of an announce that `http.parse_announce` has read."""
        (
            self.info_hash, self.peer_id, self.port, self.uploaded, self.downloaded, self.left, self.event,
            numwant, self.compact, self.no_peer_id, self.key, self.passkey, self.ip,
        ) = announce  # fmt: skip
        self.numwant = -1 if numwant is None else numwant

    def read(self, text: bytes, start: int) -> bool:
        """Reads the query `text[start:]`; False = `http.parse_announce` has to."""
        self._clear()
        end = len(text)
        if start >= end or text[start] <= 32 or text[end - 1] <= 32 or end - start > 1024:
            return False  # http.LONG
        seen = 0
        at = start
        while True:
            mark = scan.span(text, at, end, 4)  # scan.NAME
            if mark == end or text[mark] != 61:
                return False
            value = mark + 1
            stop = scan.span(text, value, end, 5)  # scan.FIELD
            if stop < end and text[stop] != 38:
                return False
            bit = self._field(text, at, mark, value, stop)
            if bit < 0 or seen & bit:
                return False
            seen |= bit
            if stop == end:
                break
            at = stop + 1
        return seen & 7 == 7

    def _field(self, text: bytes, at: int, mark: int, value: int, stop: int) -> int:
        """Reads the field with the name `text[at:mark]` and the value `text[value:stop]`.

        Returns a bit that stands for its name, 0 for one that does not matter, -1 if the value
        needs a second look.
        """
        size = mark - at
        if size == 9 and scan.equal(text, at, mark, b"info_hash"):
            self.info_hash = scan.identifier(text, value, stop)
            return 1 if self.info_hash else -1
        if size == 7:
            if scan.equal(text, at, mark, b"peer_id"):
                self.peer_id = scan.identifier(text, value, stop)
                return 2 if self.peer_id else -1
            if scan.equal(text, at, mark, b"numwant"):
                number = scan.number(text, value, stop)
                if number < 0 or number >> 32:
                    return -1
                self.numwant = number
                return 8
            if scan.equal(text, at, mark, b"compact"):
                if stop - value != 1 or (text[value] != 48 and text[value] != 49):
                    return -1
                self.compact = text[value] == 49
                return 16
            if scan.equal(text, at, mark, b"passkey"):
                self.passkey = scan.cut(text, value, stop)
                return -1 if 37 in self.passkey else 32
            return 0
        if size == 4:
            if scan.equal(text, at, mark, b"port"):
                number = scan.number(text, value, stop)
                if number < 1 or number > 0xFFFF:
                    return -1
                self.port = number
                return 4
            if scan.equal(text, at, mark, b"left"):
                number = scan.number(text, value, stop)
                if number < 0:
                    return -1
                self.left = number
                return 64
            return 0
        if size == 8:
            if scan.equal(text, at, mark, b"uploaded"):
                number = scan.number(text, value, stop)
                if number < 0:
                    return -1
                self.uploaded = number
                return 128
            return 0
        if size == 10:
            if scan.equal(text, at, mark, b"downloaded"):
                number = scan.number(text, value, stop)
                if number < 0:
                    return -1
                self.downloaded = number
                return 256
            if scan.equal(text, at, mark, b"no_peer_id"):
                if 37 in scan.cut(text, value, stop):
                    return -1
                self.no_peer_id = stop - value == 1 and text[value] == 49
                return 512
            return 0
        if size == 5:
            if scan.equal(text, at, mark, b"event"):
                return self._read_event(text, value, stop)
            return 0
        if size == 3 and scan.equal(text, at, mark, b"key"):
            self.key = scan.cut(text, value, stop)
            return -1 if 37 in self.key else 2048
        if size == 2 and scan.equal(text, at, mark, b"ip"):
            self.ip = scan.cut(text, value, stop)
            return 4096
        return 0

    def _read_event(self, text: bytes, value: int, stop: int) -> int:
        if value == stop:
            self.event = 0
        elif scan.equal(text, value, stop, b"started"):
            self.event = 2
        elif scan.equal(text, value, stop, b"stopped"):
            self.event = 3
        elif scan.equal(text, value, stop, b"completed"):
            self.event = 1
        else:
            return -1
        return 1024
