"""Binds every socket and reads every certificate, before the tracker appends anything to the
log."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import trio
from attrs import frozen

from tracker.config import UnixAddress
from tracker.frontends import unix_socket
from tracker.frontends.http import server as http_server
from tracker.frontends.tls import Certificate, TlsError
from tracker.frontends.udp import receivers
from tracker.frontends.udp import server as udp_server
from tracker.frontends.waiting import wait_out

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

    from tracker.config import Address, Config, TlsFiles

    Certificates = dict[TlsFiles | None, Certificate]


Sockets = tuple[socket.socket, ...]


class Table(Protocol):
    """Any configuration table with a listener."""

    @property
    def bind_address(self) -> Address | UnixAddress: ...


def _v6only(table: Table) -> bool:
    """Tells whether the table keeps IPv4 away from its listener."""
    return bool(getattr(getattr(table, "network", None), "ipv6_v6only", False))


def _path(table: Table) -> str:
    """Returns the path of a Unix socket, "" for another one."""
    return table.bind_address.path if isinstance(table.bind_address, UnixAddress) else ""


class StartError(Exception):
    """The tracker cannot start as configured; the text gives the cause and the remedy."""


@frozen
class Listener:
    """A bound socket, and its certificate when it serves TLS."""

    socket: socket.socket
    certificate: Certificate | None = None
    path: str = ""  # of a Unix socket
    greeted: bool = False  # each connection begins with the header of a proxy
    others: Sockets = ()  # at the same port, of a UDP tracker with receivers

    @property
    def binding(self) -> tuple[str, int]:
        """Returns the IP address and port as bound, or `unix:/path` and port 0."""
        if self.path:
            return f"unix:{self.path}", 0
        host, port = self.socket.getsockname()[:2]
        return host, port

    @property
    def address(self) -> str:
        """Returns `host:port` as bound (the real port when 0 was configured), or `unix:/path`."""
        host, port = self.binding
        if self.path:
            return host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Closes the socket, if it is open, and removes the file of a Unix socket."""
        for sock in (self.socket, *self.others):
            sock.close()
        if self.path:
            unix_socket.remove(self.path)

    @property
    def tls(self) -> ssl.SSLContext | None:
        return self.certificate.context if self.certificate else None

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://{self.address}"


class PatientListener(trio.abc.Listener[trio.SocketStream]):
    """Waits and goes on when the system refuses a connection, whatever its reason: trio's own loop
    does so for four reasons, and ends for others.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))

    async def accept(self) -> trio.SocketStream:
        while True:
            try:
                return await self._listener.accept()
            except OSError as error:
                await wait_out(error)

    async def aclose(self) -> None:
        await self._listener.aclose()


@frozen
class Listeners:
    """The bound sockets, in the order of the configuration."""

    udp: tuple[Listener, ...]
    http: tuple[Listener, ...]
    api: Listener | None
    health: Listener
    console: Listener | None = None  # it is bound here, and served by a process of its own

    def close(self) -> None:
        """Closes what is still open, and removes the files of Unix sockets."""
        maybe = (self.api, self.console)
        for listener in (*self.udp, *self.http, *filter(None, maybe), self.health):
            listener.close()


def read_certificates(config: Config) -> Certificates:
    """Reads one certificate for each configured pair of files. Raises `StartError`."""
    found: Certificates = {}
    for place, files in _tls_files(config):
        try:
            found[files] = found.get(files) or Certificate(files.ssl_cert_path, files.ssl_key_path)
        except TlsError as error:
            raise StartError(f"{place}: no TLS with these files: {error}") from None
    return found


def _tls_files(config: Config) -> Iterator[tuple[str, TlsFiles]]:
    for number, tracker in enumerate(config.http_trackers):
        if tracker.tls:
            yield f"http_trackers[{number}]", tracker.tls
    if config.http_api and config.http_api.tls:
        yield "http_api", config.http_api.tls
    if config.console and config.console.tls:
        yield "console", config.console.tls


def bind(config: Config, certificates: Certificates) -> Listeners:
    """Binds every socket. Raises `StartError`, and leaves none open then."""
    with ExitStack() as opened:

        def each(what: str, tables: Sequence[Table]) -> tuple[Listener, ...]:
            sockets = _open(what, tables, opened)
            return tuple(
                Listener(
                    sock,
                    certificates.get(getattr(table, "tls", None)),
                    _path(table),
                    greeted=bool(getattr(getattr(table, "network", None), "proxy_protocol", ())),
                    others=tuple(others),
                )
                for (sock, *others), table in zip(sockets, tables, strict=True)
            )

        listeners = Listeners(
            udp=each("UDP", config.udp_trackers),
            http=each("HTTP", config.http_trackers),
            api=each("the API", [config.http_api])[0] if config.http_api else None,
            health=each("the health check", [config.health_check_api])[0],
            # Without the API, whose client it is, there is nothing that it could show.
            console=each("the console", [config.console])[0]
            if config.console and config.http_api
            else None,
        )
        opened.pop_all()
    return listeners


def check(config: Config) -> Iterator[tuple[bool, str]]:
    """Yields why a start could not listen, without listening: whether that surely holds for the
    tracker too, and the text of the `StartError`.

    A port may be in use by the tracker itself, and another user may have the right to take it.
    """
    kinds: list[tuple[str, Sequence[Table]]] = [
        ("UDP", config.udp_trackers),
        ("HTTP", config.http_trackers),
        ("the API", [config.http_api] if config.http_api else []),
        ("the health check", [config.health_check_api]),
        ("the console", [config.console] if config.console else []),
    ]
    for what, tables in kinds:
        for address in (table.bind_address for table in tables):
            try:
                _try(address, socket.SOCK_DGRAM if what == "UDP" else socket.SOCK_STREAM)
            except OSError as error:
                ours = isinstance(address, UnixAddress) or error.errno != errno.EADDRINUSE
                yield ours and error.errno != errno.EACCES, _refused(address, what, error)


def _try(address: Address | UnixAddress, kind: socket.SocketKind) -> None:
    """Raises the `OSError` of opening a socket with this address, and leaves nothing behind."""
    if isinstance(address, UnixAddress):
        unix_socket.check(address.path)
        return
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, kind) as sock:
        if family == socket.AF_INET6 and address.host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Bound and not listening, it is in no other process's way.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address.host, address.port))


def _refused(address: Address | UnixAddress, what: str, error: OSError) -> str:
    return f"cannot listen on {address} for {what}: {error.strerror or error}"


def _open(what: str, tables: Sequence[Table], opened: ExitStack) -> Iterator[Sockets]:
    """Yields the sockets of each table: one, or as many as there are receivers."""
    addresses = [table.bind_address for table in tables]
    ipv4_ports = {
        one.port for one in addresses if not isinstance(one, UnixAddress) and ":" not in one.host
    }
    for table, address in zip(tables, addresses, strict=True):
        try:
            if isinstance(address, UnixAddress):
                sockets: Sockets = (unix_socket.open_socket(address.path),)
            else:
                # `[::]` takes IPv4 too, unless IPv4 has its own listener on this port.
                v6only = _v6only(table) or address.port in ipv4_ports - {0}
                host, port = address.host, address.port
                if what == "UDP":
                    count = getattr(table, "receivers", 1) if receivers.available else 1
                    sockets = udp_server.open_sockets(host, port, count, v6only=v6only)
                else:
                    sockets = (http_server.open_socket(host, port, v6only=v6only),)
        except OSError as error:
            raise StartError(_refused(address, what, error)) from None
        for sock in sockets:
            opened.enter_context(sock)
        yield sockets
