"""Sends requests byte by byte: UDP datagrams, HTTP on plain sockets, and the REST API.

It shares no code with the tracker, so that both cannot be wrong in the same way.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

from attrs import field, frozen

from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.process import Address, Tracker

MAGIC = 0x41727101980
NONE, COMPLETED, STARTED, STOPPED = range(4)
_RESENDS = 8  # connects sent before a test fails; each waits `_PATIENCE` seconds
_PATIENCE = DEADLINE / _RESENDS
_LAST = 0x7A7A7A7A  # transaction id of a connect that nothing comes after


def peer_id(number: int) -> bytes:
    """Returns a peer id that names no client, because that would be one event more."""
    return b"-QS0001.%012d" % number


def torrent(number: int) -> bytes:
    """Returns an info hash."""
    return bytes([number]) * 20


@frozen
class UdpAnnounced:
    interval: int
    leechers: int
    seeders: int
    peers: list[Address]


class UdpClient:
    """A connected UDP socket. It receives datagrams from the tracker's address only."""

    def __init__(self, address: Address, source: str | None = None) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._v6 = family == socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.settimeout(DEADLINE)
        if source is not None:
            self._socket.bind((source, 0))
        self._socket.connect(address)
        self.connection_id = b""

    def close(self) -> None:
        self._socket.close()

    def wait_at_most(self, seconds: float) -> None:
        """Sets the seconds after which each later receive raises `TimeoutError`."""
        self._socket.settimeout(seconds)

    def send(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    def receive(self) -> bytes:
        return self._socket.recv(4096)

    def exchange(self, datagram: bytes) -> bytes:
        self.send(datagram)
        return self.receive()

    def arrived(self) -> list[bytes]:
        """Returns the datagrams that have arrived, without waiting."""
        found = []
        while select.select([self._socket], [], [], 0)[0]:
            found.append(self._socket.recv(4096))
        return found

    def replies(self, datagram: bytes) -> list[bytes]:
        """Returns what comes back for one datagram, which may be nothing.

        A connect follows it, because its reply comes after all others.
        """
        self.send(datagram)
        found = [self.exchange(struct.pack(">QII", MAGIC, 0, _LAST))]
        while found[-1][:8] != struct.pack(">II", 0, _LAST):
            found.append(self._socket.recv(4096))
        return found[:-1]

    def connect(self) -> bytes:
        """Gets a connection id and keeps it; sends another connect when a datagram was lost."""
        self._socket.settimeout(_PATIENCE)
        for transaction in range(_RESENDS):
            self.send(struct.pack(">QII", MAGIC, 0, transaction))
            try:
                self.connection_id = self._connected(transaction)
            except TimeoutError:
                continue
            self._socket.settimeout(DEADLINE)
            return self.connection_id
        raise AssertionError("no connection id")

    def _connected(self, transaction: int) -> bytes:
        """Returns the id of this connect's reply; skips all other replies."""
        while True:
            reply = self._socket.recv(4096)
            if len(reply) == 16 and reply[:8] == struct.pack(">II", 0, transaction):
                return reply[8:]

    def announce(self, info_hash: bytes, peer: int, port: int, **fields: int) -> UdpAnnounced:
        reply = self.exchange(
            announce_datagram(self.connection_id, info_hash, peer, port, **fields)
        )
        action, transaction, interval, leechers, seeders = struct.unpack_from(">IIIII", reply)
        assert (action, transaction) == (1, 7), reply
        return UdpAnnounced(interval, leechers, seeders, endpoints(reply[20:], v6=self._v6))

    def scrape(self, *hashes: bytes) -> list[tuple[int, int, int]]:
        """Returns seeders, completed and leechers of each torrent."""
        reply = self.exchange(struct.pack(">8sII", self.connection_id, 2, 9) + b"".join(hashes))
        assert struct.unpack_from(">II", reply) == (2, 9), reply
        return [
            (seeders, completed, leechers)
            for seeders, completed, leechers in struct.iter_unpack(">III", reply[8:])
        ]


def announce_datagram(
    connection_id: bytes,
    info_hash: bytes,
    peer: int,
    port: int,
    *,
    downloaded: int = 0,
    left: int = 0,
    uploaded: int = 0,
    event: int = NONE,
    numwant: int = -1,
) -> bytes:
    """Returns the 98 bytes of an announce with transaction id 7."""
    return struct.pack(
        ">8sII20s20sQQQIIIiH",
        connection_id, 1, 7, info_hash, peer_id(peer), downloaded, left, uploaded,
        event, 0, 0, numwant, port,
    )  # fmt: skip


@contextmanager
def udp_client(address: Address, source: str | None = None) -> Iterator[UdpClient]:
    """Opens a client that has a connection id."""
    client = UdpClient(address, source)
    try:
        client.connect()
        yield client
    finally:
        client.close()


def endpoints(packed: bytes, *, v6: bool = False) -> list[Address]:
    size, family = (18, socket.AF_INET6) if v6 else (6, socket.AF_INET)
    assert len(packed) % size == 0
    each = [packed[at : at + size] for at in range(0, len(packed), size)]
    return [(socket.inet_ntop(family, p[:-2]), int.from_bytes(p[-2:], "big")) for p in each]


# HTTP


def exchange(address: Address, request: bytes) -> bytes:
    """Sends bytes and reads until the tracker closes."""
    with socket.create_connection(address, DEADLINE) as sock:
        sock.sendall(request)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    """Reads everything until the end. Bytes before a reset count too."""
    received = b""
    try:
        while chunk := sock.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def get(address: Address, target: str) -> bytes:
    """Returns the whole response to a request with `Connection: close`."""
    head = f"GET {target} HTTP/1.1\r\nHost: tracker\r\nConnection: close\r\n\r\n"
    return exchange(address, head.encode("latin-1"))


def body(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def announce_target(info_hash: bytes, peer: int, port: int, **fields: int | str) -> str:
    more = "".join(f"&{name}={value}" for name, value in fields.items())
    return (
        f"/announce?info_hash={quote_from_bytes(info_hash)}&peer_id={quote_from_bytes(peer_id(peer))}"
        f"&port={port}{more}"
    )


def announce(
    address: Address, info_hash: bytes, peer: int, port: int, **fields: int | str
) -> dict[str, Any]:
    """Returns the decoded answer to an HTTP announce, of a seeder unless `left` is given."""
    fields = {"left": 0, **fields}
    answer = bdecode(body(get(address, announce_target(info_hash, peer, port, **fields))))
    assert isinstance(answer, dict)
    return answer


def bdecode(data: bytes) -> Any:
    """Returns the one value in `data`.

    Keys of dictionaries are text, a character for each byte, and must be sorted.
    """
    value, end = _bdecode(data, 0)
    assert end == len(data), "bytes after the value"
    return value


def _bdecode(data: bytes, at: int) -> tuple[Any, int]:
    match data[at : at + 1]:
        case b"i":
            end = data.index(b"e", at)
            return int(data[at + 1 : end]), end + 1
        case b"l" | b"d":
            values, at = _values(data, at)
            return values, at
        case _:
            colon = data.index(b":", at)
            end = colon + 1 + int(data[at:colon])
            return data[colon + 1 : end], end


def _values(data: bytes, at: int) -> tuple[Any, int]:
    mapping = data[at : at + 1] == b"d"
    values, at = [], at + 1
    while data[at : at + 1] != b"e":
        value, at = _bdecode(data, at)
        values.append(value)
    if not mapping:
        return values, at + 1
    keys = values[::2]
    assert keys == sorted(set(keys)), "keys out of order"
    return {k.decode("latin-1"): v for k, v in zip(keys, values[1::2], strict=True)}, at + 1


# REST API


@frozen
class Reply:
    """Holds the API's reply to one request. `headers` have lower-case names and do not compare."""

    status: int
    content_type: str | None
    body: str
    headers: Mapping[str, str] = field(eq=False, repr=False)

    @property
    def compared(self) -> tuple[int, str | None, str]:
        """Returns status, content type and body, as rows of the contract hold them."""
        return self.status, self.content_type, self.body

    @property
    def json(self) -> Any:
        """Returns the decoded body; None for an empty one."""
        return json.loads(self.body) if self.body else None


def ask(
    tracker: Tracker,
    method: str,
    target: str,
    body: object = None,
    *,
    token: str = "MyAccessToken",  # noqa: S107  # the token of every tracker in the tests
    **headers: str,
) -> Reply:
    """Makes one API request on its own connection.

    Text and bytes are sent as they are, any other `body` as JSON. An empty `token` is not sent.
    Names of `headers` have underscores.
    """
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, (str, bytes)):
        body = json.dumps(body)
        sent["Content-Type"] = "application/json"
    connection = HTTPConnection(*tracker.api, timeout=DEADLINE)
    try:
        connection.request(method, target, body, sent)
        response = connection.getresponse()
        text = response.read().decode()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, received.get("content-type"), text, received)
    finally:
        connection.close()


def server_sent(tracker: Tracker, target: str, **headers: str) -> Iterator[dict[str, str]]:
    """Yields the events of a stream as fields by name. Names of `headers` have underscores."""
    connection = HTTPConnection(*tracker.api, timeout=30)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent["Authorization"] = "Bearer MyAccessToken"
    connection.request("GET", target, headers=sent)
    with closing(connection), connection.getresponse() as response:
        assert (response.status, response.headers["content-type"]) == (200, "text/event-stream")
        fields: dict[str, str] = {}
        while line := response.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                yield fields
                fields = {}
            else:
                fields = {}


def api(tracker: Tracker, target: str, method: str = "GET") -> Any:
    """Returns the JSON of an API request that must succeed."""
    reply = ask(tracker, method, target)
    assert reply.status == 200, reply.body
    return reply.json


def all_pages(tracker: Tracker, target: str, name: str) -> tuple[list[Any], Any]:
    """Returns what all pages of a listing have under a name, and the last page.

    A page may be short, or empty, and still have a next one. `target` has a query.
    """
    found: list[Any] = []
    after = ""
    while True:
        page = api(tracker, f"{target}{after}")
        found += page[name]
        if page["next"] is None:
            return found, page
        after = f"&after={page['next']}"
