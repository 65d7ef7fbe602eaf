"""Parses and builds the datagrams of the UDP tracker protocol (BEP 15, 41). All numbers are
big-endian.

connect   request   magic 8 | action 0 | transaction 4                        16 bytes or more
          reply     action 0 | transaction | connection id 8
announce  request   connection id 8 | action 1 | transaction | info_hash 20 | peer_id 20 |
                    downloaded 8 | left 8 | uploaded 8 | event 4 | ip 4 | key 4 | num_want 4 | port
                    2
                    and then BEP 41 options                                   98 bytes or more
          reply     action 1 | transaction | interval | leechers | seeders | endpoints
scrape    request   connection id 8 | action 2 | transaction | info_hash 20 each
          reply     action 2 | transaction | (seeders | completed | leechers) each
error     reply     action 3 | transaction | text
"""

from __future__ import annotations

from struct import Struct

CONNECT = 0
ANNOUNCE = 1
SCRAPE = 2
ERROR = 3

MAGIC = bytes.fromhex("0000041727101980")
MAX_SCRAPED = 74  # info hashes of one scrape (BEP 15)

HEAD = Struct(">8sI4s")  # connection id or magic, action, transaction
HEAD_SIZE = HEAD.size

ANNOUNCE_REQUEST = Struct(">QI4s20s20sqqqI6xHi2s")
"""connection id, action, transaction, info_hash, peer_id, downloaded, left, uploaded, event, the
lower half of the key, num_want, port.
"""
ANNOUNCE_SIZE = ANNOUNCE_REQUEST.size
announce_request = ANNOUNCE_REQUEST.unpack_from

CONNECT_REPLY = Struct(">I4s8s")
ANNOUNCE_REPLY = Struct(">I4sIII")
put_announce_head = ANNOUNCE_REPLY.pack_into
_REPLY_HEAD = Struct(">I4s")
put_head = _REPLY_HEAD.pack_into
_COUNTS = Struct(">III")
put_counts = _COUNTS.pack_into
_MOST = 0xFFFFFFFF  # the largest count in a scrape
_ACTION = Struct(">I")
_SCRAPE_HEAD = Struct(">Q4x4s")
scrape_head = _SCRAPE_HEAD.unpack_from


_V4_MAPPED = bytes(10) + b"\xff\xff"


def action(data: bytes | bytearray, at: int) -> int:
    """Returns what the request of at least 16 bytes at `at` wants."""
    found: int = _ACTION.unpack_from(data, at + 8)[0]
    return found


def is_zero(port: bytes) -> bool:
    return port == b"\0\0"


def halves(address: bytes, v6: bool) -> tuple[int, int]:
    """Returns an address as two numbers of 64 bits; the first of an IPv4 address is that of no
    address that can send."""
    if v6:
        return int.from_bytes(address[:8], "big"), int.from_bytes(address[8:], "big")
    return 0xFFFFFFFFFFFFFFFF, int.from_bytes(address, "big")


def is_loopback(address: bytes, v6: bool) -> bool:
    """Tells whether an address is of this machine."""
    high, low = halves(address, v6)
    return (high == 0 and low == 1) if v6 else low >> 24 == 127


def is_mapped(address: bytes) -> bool:
    """Tells whether 16 bytes are an IPv4 address (RFC 4291)."""
    return address.startswith(_V4_MAPPED)


def error(transaction: bytes, text: str) -> bytes:
    """Builds an error reply."""
    return _REPLY_HEAD.pack(ERROR, transaction) + text.encode()


def scrape_reply(transaction: bytes, counts: list[tuple[int, int, int]]) -> bytes:
    """Builds a scrape's reply from seeders, completed and leechers, in the order of the request."""
    return _REPLY_HEAD.pack(SCRAPE, transaction) + b"".join(
        [
            _COUNTS.pack(seeders, min(completed, _MOST), leechers)
            for seeders, completed, leechers in counts
        ]
    )


OPTIONS_READ = 600
"""Bytes of options that are read, enough for a URL of 512 in two, because more of them only take
time."""


def url_data(data: bytes | bytearray, start: int, end: int) -> bytes:
    """Returns path and query of the tracker's URL, which the client sent as URLData options (BEP
    41).

    `data[start:end]` holds the options, which follow the 98 bytes of an announce. Option 0 ends
    them, 1 is a filler, all others have a length. Unknown options are skipped; a truncated one ends
    the list, and so does the end of the first `OPTIONS_READ` bytes.
    """
    found = b""
    end = min(end, start + OPTIONS_READ)
    while start < end and data[start]:
        option = data[start]
        start += 1
        if option == 1:
            continue
        if start >= end or start + 1 + data[start] > end:
            break
        size = data[start]
        start += 1
        if option == 2:
            found += data[start : start + size]
        start += size
    return found


def scrape_hashes(data: bytes | bytearray, at: int, size: int) -> list[bytes]:
    """Returns the info hashes of a scrape of `size` bytes at `at`, at most MAX_SCRAPED."""
    end = min(size, HEAD_SIZE + 20 * MAX_SCRAPED)
    return [bytes(data[at + o : at + o + 20]) for o in range(HEAD_SIZE, end, 20)]
