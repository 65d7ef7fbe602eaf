"""Which client a request comes from when there are reverse proxies in front: the right-most address nobody trusted added.

Each proxy appends the address it was asked from to `X-Forwarded-For`; what stands left of the first one that is not
trusted can be anybody's invention. Without trusted proxies the header says nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quart import Request

UNIX = "unix"
"""Stands for whoever connects to the Unix socket."""

_Address = IPv4Address | IPv6Address


class Proxies:
    """Those that are trusted: addresses, networks, and `UNIX`."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        """Raises `ValueError` for what is no network."""
        named = list(trusted)
        self._networks = [ip_network(one) for one in named if one != UNIX]
        self._unix = UNIX in named

    def client(self, request: Request) -> str:
        """The client's address, IPv4 in its own form; "" when all that is known is a Unix socket."""
        scope_client = request.scope.get("client")
        peer = _parsed(scope_client[0]) if scope_client else None
        if not self._trusts(peer):
            return str(peer or "")
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(forwarded):
            said = _parsed(_without_port(text.strip()))
            if said is None:
                break  # nothing, or a word: what stands left of it is worth no more
            peer = said
            if not self._trusts(said):
                break
        return str(peer or "")

    def _trusts(self, address: _Address | None) -> bool:
        if address is None:
            return self._unix
        return any(address in network for network in self._networks)


def _parsed(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _without_port(text: str) -> str:
    """`192.0.2.1:443` and `[2001:db8::1]:443`, as some proxies write them."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
