"""Finds a client behind reverse proxies, by the header in which they name it.

The HTTP tracker and the API share it. Each proxy appends the address of its client to a list, so
whatever stands left of the first address that is no trusted proxy may be invented.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Address = IPv4Address | IPv6Address

USUAL_HEADER: Final = "X-Forwarded-For"
UNIX: Final = "unix"
"""Names, among the trusted proxies, every client of the API's Unix socket."""

_MOST_HOPS: Final = 16  # addresses that are read from the right; a client may send any number
_PORT: Final = re.compile(r":([0-9]{1,5}|_[\w.-]+)", re.ASCII)  # RFC 7239 hides ports as `_name`


class Proxies:
    """The trusted proxies (addresses, networks, and `UNIX`), and the header that they write."""

    __slots__ = ("_elements", "_networks", "_unix", "header")

    def __init__(self, trusted: Iterable[str] = (), header: str = USUAL_HEADER) -> None:
        """Raises `ValueError` for a text that is no network."""
        names = list(trusted)
        self.header = header
        self._elements = header.lower() == "forwarded"
        self._networks = [ip_network(one) for one in names if one != UNIX]
        self._unix = UNIX in names

    def __bool__(self) -> bool:
        """Tells whether any proxy is named."""
        return self._unix or bool(self._networks)

    def trusts(self, address: Address | None) -> bool:
        """`address` None is a client of the Unix socket."""
        if address is None:
            return self._unix
        return any(address in network for network in self._networks)

    def client(self, value: str) -> tuple[Address | None, bool]:
        """Returns the right-most address in the header's value that is no trusted proxy.

        The flag tells whether that is the client. Otherwise something that is no address stands
        where its own should, and the result is the last proxy before it, or None.
        """
        found = None
        for text in reversed(value.rsplit(",", _MOST_HOPS)):
            try:
                address = parse_address(_for(text) if self._elements else text)
            except ValueError:
                return found, False
            found = address
            if not self.trusts(found):
                break
        return found, True


def parse_address(text: str) -> Address:
    """Reads an IP address, alone or with a port: `192.0.2.1:443`, `[2001:db8::1]`.

    A v4-mapped one becomes IPv4. The zone of `fe80::1%eth0` is left out, because it means something
    on the proxy only, may be any text, and would make one client many. Raises `ValueError`.
    """
    host, port = text.strip(), ""
    if host.startswith("["):
        host, bracket, port = host[1:].partition("]")
        if not bracket:
            raise ValueError("a bracket is missing")
    elif host.count(":") == 1:
        host, colon, port = host.partition(":")
        port = colon + port
    if port and not _PORT.fullmatch(port):
        raise ValueError("neither an address nor a port")
    host, percent, zone = host.partition("%")
    address = ip_address(host)
    if percent and (address.version == 4 or not zone):
        raise ValueError("a zone where none can be")
    return (address.ipv4_mapped if address.version == 6 else None) or address


def _for(element: str) -> str:
    """Returns the value of `for=` in an element of the header `Forwarded` (RFC 7239); else ""."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return value.strip().strip('"')
    return ""
