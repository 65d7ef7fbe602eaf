"""Finds the address of a client behind reverse proxies.

Each proxy appends the address of its client to `X-Forwarded-For`. The client is the right-most
address that is no trusted proxy, because a client can invent all addresses left of it. Without
trusted proxies the header is ignored.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quart import Request

UNIX = "unix"
"""Stands in the list of trusted proxies for every client of the Unix socket."""

_Address = IPv4Address | IPv6Address


class Proxies:
    """The trusted proxies: addresses, networks, and `UNIX`."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        """Raises `ValueError` if a text is no network."""
        names = list(trusted)
        self._networks = [ip_network(one) for one in names if one != UNIX]
        self._unix = UNIX in names

    def client(self, request: Request) -> str:
        """Returns the address of the client that sent `request`; "" = it used the Unix socket.

        An IPv4 address is returned in its own form, not mapped to IPv6.
        """
        scope_client = request.scope.get("client")
        peer = _parsed(scope_client[0]) if scope_client else None
        if not self._trusts(peer):
            return str(peer or "")
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(forwarded):
            named = _parsed(_without_port(text.strip()))
            if named is None:
                break  # no address, so that everything left of it may be invented
            peer = named
            if not self._trusts(named):
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
    """Strips the port that some proxies add: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
