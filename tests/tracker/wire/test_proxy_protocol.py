"""The header of the PROXY protocol: what is taken, from the first byte on, and what is refused."""

from __future__ import annotations

from struct import pack

import pytest

from tracker.wire.proxy_protocol import read
from tracker.wire.request import BAD, INCOMPLETE, REQUEST_LIMIT

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([203, 0, 113, 7])
V6 = bytes.fromhex("20010db8") + bytes(11) + b"\x09"
TAIL = b"GET / HTTP/1.1\r\n"


def binary(command: int, kind: int, block: bytes, size: int | None = None) -> bytes:
    return SIGNATURE + pack(">BBH", command, kind, len(block) if size is None else size) + block


def over4(more: bytes = b"") -> bytes:
    return V4 + bytes([10, 0, 0, 1]) + pack(">HH", 1, 65535) + more


def over6(address: bytes) -> bytes:
    return address + V6 + bytes(4)


GOOD = [
    (b"PROXY TCP4 203.0.113.7 10.0.0.1 65535 0\r\n", V4),
    (b"PROXY TCP6 2001:db8::9 ::1 1 2\r\n", V6),
    (b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0009 ::1 1 2\r\n", V6),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", V4),
    (b"PROXY UNKNOWN\r\n", b""),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", b""),
    (binary(0x21, 0x11, over4()), V4),
    (binary(0x21, 0x11, over4(b"\x04\0\2xx" + b"\x20\0\0")), V4),
    (binary(0x21, 0x21, over6(V6)), V6),
    (binary(0x21, 0x21, over6(bytes(10) + b"\xff\xff" + V4)), V4),
    (binary(0x20, 0x00, b""), b""),
    (binary(0x20, 0x11, over4()), b""),  # LOCAL: the proxy's own, whatever it says
    (binary(0x21, 0x00, b"anything"), b""),
    (binary(0x21, 0x31, bytes(216)), b""),  # from a Unix socket
    (binary(0x21, 0x12, over4()), b""),  # from a datagram
    (binary(0x21, 0x11, over4(b"\x04" + pack(">H", 9000) + bytes(9000))), V4),
]
BAD_ONES = [
    b"G",
    TAIL,
    b"\x16\x03\x01\x02\x00\x01",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\n",
    b"PROXY  TCP4 203.0.113.7 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2 \r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n",
    b"PROXY TCP4 203.0.113.007 10.0.0.1 1 2\r\n",
    b"PROXY TCP4 203.0.113.7 ::1 1 2\r\n",
    b"PROXY TCP4 2001:db8::9 ::1 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 01 2\r\n",
    b"PROXY TCP4 203.0.113.7 10.0.0.1 -1 2\r\n",
    b"PROXY TCP4 203.0.113.\xb2 10.0.0.1 1 2\r\n",
    b"PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n",
    b"PROXY tcp4 203.0.113.7 10.0.0.1 1 2\r\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN" + b" " * 93 + b"\r\n",  # 108 bytes
    b"PROXY TCP4" + b" " * 97,
    SIGNATURE[:-1] + b"\r",
    binary(0x11, 0x11, over4()),
    binary(0x22, 0x11, over4()),
    binary(0x21, 0x41, over4()),
    binary(0x21, 0x13, over4()),
    binary(0x21, 0x11, over4()[:-1]),
    binary(0x21, 0x21, over4()),
    binary(0x21, 0x11, over4(b"\4\0")),
    binary(0x21, 0x11, over4(b"\4\0\2x")),
    binary(0x21, 0x11, b"", REQUEST_LIMIT),
    binary(0x21, 0x11, b"", 65_535),
]


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_good(header: bytes, address: bytes) -> None:
    """However it is cut off, a header is incomplete; what follows it is not looked at."""
    data = bytearray(header + TAIL)
    assert read(data, len(data)) == (len(header), address)
    for end in range(min(len(header), 300)):
        assert read(data, end) == (INCOMPLETE, b"")


@pytest.mark.parametrize("header", BAD_ONES)
def test_bad(header: bytes) -> None:
    assert read(bytearray(header), len(header)) == (BAD, b"")
