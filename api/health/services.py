"""Describes the services to check: where each listens, and the texts that name it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Literal

from attrs import frozen

if TYPE_CHECKING:
    Kind = Literal["udp", "http", "api"]

_PATHS = {"http": "/health_check", "api": "/api/health_check"}
_INFO = {
    "udp": "checking the udp tracker health check at: ",
    "http": "checking http tracker health check at: ",
    "api": "checking api health check at: ",
}
_UNIX = "unix:"


def local_host(host: str) -> str:
    """Returns the address at which this machine reaches what listens on `host`.

    A wildcard is reached through loopback; `::` through that of IPv4 where there is no IPv6.
    """
    if host == "0.0.0.0":  # noqa: S104  # nothing is bound to it here
        return "127.0.0.1"
    if host != "::":
        return host
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return "127.0.0.1"
    return "::1"


@frozen
class Service:
    """A listener as it is bound: an IP address and its port, or `unix:/path` and port 0."""

    kind: Kind
    host: str
    port: int
    tls: bool = False
    greeted: bool = False  # a connection begins with the header of the PROXY protocol

    @property
    def binding(self) -> str:
        """The listener's address: `127.0.0.1:7070`, `[::1]:7070` or `unix:/path`."""
        if self.socket_path:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def socket_path(self) -> str:
        """The path of a Unix socket; "" for another one."""
        return self.host.removeprefix(_UNIX) if self.host.startswith(_UNIX) else ""

    @property
    def path(self) -> str:
        """The path of its health check; "" for a UDP tracker, which has none."""
        return _PATHS.get(self.kind, "")

    @property
    def info(self) -> str:
        """The contract's sentence, with the address as bound."""
        scheme = "" if self.kind == "udp" else "https://" if self.tls else "http://"
        return f"{_INFO[self.kind]}{scheme}{self.binding}{self.path}"

    @property
    def target(self) -> tuple[str, int] | str:
        """The host and port to connect to from this machine, or a path."""
        return self.socket_path or (local_host(self.host), self.port)
