"""Decides under which address a peer is listed: its own, one it names, or the tracker's outside
one.

All addresses are 4 or 16 bytes, v4-mapped ones as IPv4.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from tracker.forwarding import parse_address
from tracker.wire import http, udp

if TYPE_CHECKING:
    from tracker.forwarding import Proxies

_LOCAL = tuple(
    map(
        ip_network,
        (
            "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
            "::1/128", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip


def listed_address(source: bytes, external: bytes) -> bytes:
    """Returns `external` for a client on this machine, because no peer elsewhere reaches
    loopback."""
    return external if is_loopback(source) else source


def is_loopback(address: bytes) -> bool:
    return udp.is_loopback(address, len(address) == 16)


def is_local(address: bytes) -> bool:
    """Tells whether an address is of this machine or a private network (RFC 1918, 3927, 4193,
    4291).
    """
    ip = ip_address(address)
    return any(ip in network for network in _LOCAL)


def claimed_address(text: bytes, source: bytes) -> bytes:
    """Reads the address in `ip=` (BEP 3), still percent-encoded, perhaps with a port.

    Returns b"" for a host name and for an address that no peer elsewhere can reach. A loopback
    address counts only when the client's own address `source` is loopback too.
    """
    try:
        address = parse_address(http.unescape(text).decode("ascii"))
    except ValueError:
        return b""
    if address.is_unspecified or address.is_multicast:
        return b""
    return b"" if address.is_loopback and not is_loopback(source) else address.packed


def is_proxy(proxies: Proxies, address: bytes) -> bool:
    """Tells whether a proxy is at the other end of a connection. Where none is named, all are."""
    return not proxies or proxies.trusts(ip_address(address))


def forwarded_address(proxies: Proxies, address: bytes, header: bytes | None) -> bytes:
    """Returns the client's address on a listener behind `proxies`; b"" if a proxy names none.

    `address` is the connection's other end. Who connects past the proxies is its own client.
    """
    if not is_proxy(proxies, address):
        return address
    client, sure = proxies.client((header or b"").decode("latin-1"))
    return client.packed if client and sure else b""
