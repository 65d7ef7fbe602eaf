"""Finds a client behind reverse proxies, by the header in which they name it.

The HTTP tracker and the API share it. Each proxy appends the address of its client to a list, so
whatever stands left of the first address that is no trusted proxy may be invented.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Address = IPv4Address | IPv6Address

USUAL_HEADER: Final = "X-Forwarded-For"
UNIX: Final = "unix"
"""Names, among the trusted proxies, every client of the API's Unix socket."""

_MOST_HOPS: Final = 16  # addresses that are read from the right; a client may send any number
_PORT: Final = re.compile(r":([0-9]{1,5}|_[\w.-]+)", re.ASCII)  # RFC 7239 hides ports as `_name`
# An element of `Forwarded`, and a pair in it: quoted texts may hold separators (RFC 7239, 4). No
# quantifier gives anything back, because the header's writer could make that slow.
_QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
_ELEMENT: Final = re.compile(rf'[^",\\]*+(?:{_QUOTED}[^",\\]*+)*+')
_PAIR: Final = re.compile(rf'(?:[^";]|{_QUOTED})++')


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
        texts = reversed(value.rsplit(",", _MOST_HOPS))
        for text in map(_for, _elements(texts)) if self._elements else texts:
            try:
                address = parse_address(text)
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
    return _as_logged(address)


def host_address(text: str) -> Address:
    """Reads an IP address of a peer that somebody asks for, as the log writes addresses.

    Raises `ValueError`, also for a zone (RFC 4007), because the log has none.
    """
    if "%" in text:
        raise ValueError("a zone")
    return _as_logged(ip_address(text))


def _as_logged(address: Address) -> Address:
    """Returns a v4-mapped address as IPv4, and any other as it is."""
    return (address.ipv4_mapped if address.version == 6 else None) or address


def _elements(pieces: Iterable[str]) -> Iterator[str]:
    """Joins the pieces between commas, from the right, to whole elements of `Forwarded`.

    A proxy may quote what its client sent, for example the host, and the client may have put commas
    there. To begin at the left would let the client open a quote that hides what the proxy says.
    """
    element = ""
    for piece in pieces:
        element = f"{piece},{element}" if element else piece
        if _ELEMENT.fullmatch(element):
            yield element
            element = ""
    if element:
        yield ""


def _for(element: str) -> str:
    """Returns the value of `for=` in an element of the header `Forwarded` (RFC 7239); else ""."""
    for pair in _PAIR.findall(element):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            text = value.strip()
            return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
    return ""
