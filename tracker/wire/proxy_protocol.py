"""Reads the header with which a proxy begins a connection: the PROXY protocol, versions 1 and 2.

It names the client on whose behalf the proxy connects (HAProxy's `proxy-protocol.txt`).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from tracker.wire.request import BAD, INCOMPLETE, REQUEST_LIMIT

_LINE_BEGINS: Final = b"PROXY "
_LINE_LIMIT: Final = 107  # bytes of a header of version 1, with its end
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"  # begins version 2
_FIXED: Final = 16  # bytes of version 2 before the addresses
_COMMANDS: Final = (0x20, 0x21)  # LOCAL: the proxy itself connects; PROXY
_WIDTHS: Final = {
    0x11: 4,
    0x21: 16,
}  # bytes of an address, by family and protocol: TCP over IPv4, IPv6
_FAMILIES: Final[dict[str, type[IPv4Address | IPv6Address]]] = {
    "TCP4": IPv4Address,
    "TCP6": IPv6Address,
}
_MAPPED: Final = bytes(10) + b"\xff\xff"


def read(data: bytearray, end: int) -> tuple[int, bytes]:
    """Reads the header at the beginning of `data[:end]`.

    Returns how many bytes it has (with what version 2 adds), INCOMPLETE or BAD, and the client's
    address, 4 or 16 bytes, v4-mapped ones as IPv4. b"" = it names none: the connection is the
    proxy's own, or from no IP address.
    """
    begins = bytes(data[: min(end, len(_SIGNATURE))])
    if begins.startswith(_LINE_BEGINS):
        return _read_line(data, end)
    if begins == _SIGNATURE:
        return _read_binary(data, end)
    begun = _LINE_BEGINS.startswith(begins) or _SIGNATURE.startswith(begins)
    return INCOMPLETE if begun else BAD, b""


def _read_line(data: bytearray, end: int) -> tuple[int, bytes]:
    stop = data.find(b"\n", 0, min(end, _LINE_LIMIT))
    if stop < 0:
        return INCOMPLETE if end < _LINE_LIMIT else BAD, b""
    words = bytes(data[: stop - 1]).split(b" ")
    if data[stop - 1] != 13:
        return BAD, b""
    if words[1] == b"UNKNOWN":  # whatever follows it
        return stop + 1, b""
    try:
        kind, source, target, *ports = (word.decode("ascii") for word in words[1:])
        parse = _FAMILIES[kind]
        address, _ = parse(source).packed, parse(target)
    except (ValueError, KeyError):
        return BAD, b""
    if "%" in source + target or len(ports) != 2 or not all(map(_is_port, ports)):
        return BAD, b""
    return stop + 1, _plain(address)


def _is_port(text: str) -> bool:
    return text.isdigit() and len(text) <= 5 and str(int(text)) == text and int(text) <= 65_535


def _read_binary(data: bytearray, end: int) -> tuple[int, bytes]:
    if end < _FIXED:
        return INCOMPLETE, b""
    command, kind = data[12], data[13]
    stop = _FIXED + (data[14] << 8 | data[15])
    if command not in _COMMANDS or kind >> 4 > 3 or kind & 15 > 2 or stop > REQUEST_LIMIT:
        return BAD, b""
    if end < stop:
        return INCOMPLETE, b""
    width = _WIDTHS.get(kind) if command == 0x21 else None
    if width is None:
        return stop, b""
    at = _FIXED + 2 * width + 4  # two addresses, two ports
    while at + 3 <= stop:  # a type, a length, a value
        at += 3 + (data[at + 1] << 8 | data[at + 2])
    if at != stop:
        return BAD, b""
    return stop, _plain(bytes(data[_FIXED : _FIXED + width]))


def _plain(address: bytes) -> bytes:
    return address[12:] if address.startswith(_MAPPED) else address
