"""One HTTP request in, one reply out: the HTTP tracker without its sockets (BEP 3, 7, 23, 48).

Failures of the protocol are HTTP 200 with a bencoded `failure reason`: many clients show nothing else.
"""

from __future__ import annotations

from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_ntop
from typing import TYPE_CHECKING
from zlib import crc32

from tracker.domain import events
from tracker.service import LOG_FULL
from tracker.wire import http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.service import Service

_BENCODED = b"application/octet-stream"
_TEXT = b"text/plain; charset=utf-8"
_JSON = b"application/json"

_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 405: b"Method Not Allowed"}

_BEHIND_PROXY = (
    "Error resolving peer IP: missing or invalid the right most X-Forwarded-For IP "
    "(mandatory on reverse proxy tracker configuration)"
)


def response(status: int, body: bytes, content_type: bytes = _TEXT, extra: bytes = b"") -> bytes:
    """A whole response but for the `Connection` header and the body's blank line: see `finish`."""
    kind = b"Content-Type: " + content_type + b"\r\n" if body else b""
    return b"HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n%s" % (
        status, _REASONS[status], kind, len(body), extra,
    )  # fmt: skip


class RequestHandler:
    """Answers for one listener."""

    __slots__ = ("_interval", "_interval_min", "_listener", "_proxied", "_service", "_swarms")

    def __init__(self, service: Service, listener: int, *, proxied: bool) -> None:
        """`proxied`: the client's address is the right-most of X-Forwarded-For."""
        self._service = service
        self._swarms = service.swarms
        self._listener = listener
        self._proxied = proxied
        self._interval = service.settings.interval
        self._interval_min = service.settings.interval_min

    def answer(
        self, method: bytes, target: bytes, address: bytes, forwarded: bytes | None, keep: bool
    ) -> bytes:
        """The bytes to send for a request.

        Args:
            target: the request target as received.
            address: 4 or 16 bytes, of the connection.
            forwarded: the X-Forwarded-For header, None without one.
            keep: whether the connection stays open.
        """
        if method not in (b"GET", b"HEAD"):
            return _finish(response(405, b"", extra=b"Allow: GET,HEAD\r\n"), b"", keep)
        kind, key, query = http.parse_target(target)
        if kind == http.ANNOUNCE:
            body, content_type = self._announce(query, key, address, forwarded)
        elif kind == http.SCRAPE:
            body, content_type = self._scrape(query, key, address, forwarded)
        elif kind == http.HEALTH:
            body, content_type = b'{"status":"Ok"}', _JSON
        else:
            return _finish(response(404, b""), b"", keep)
        return _finish(response(200, body, content_type), b"" if method == b"HEAD" else body, keep)

    def _announce(
        self, query: bytes | None, key: bytes | None, address: bytes, forwarded: bytes | None
    ) -> tuple[bytes, bytes]:
        try:
            request = http.parse_announce(query)
        except http.WireError as error:
            return self._refuse(error.reason)
        if key is not None and not _is_key(key):
            return self._refuse(_INVALID_KEY)
        if self._proxied:
            address = forwarded_address(forwarded)
            if not address:
                return self._refuse(_BEHIND_PROXY)
        numwant = request.numwant
        service = self._service
        service.begin()
        torrent = service.announce(
            self._listener, events.HTTP6 if len(address) == 16 else events.HTTP4, address,
            request.port.to_bytes(2, "big"), request.info_hash, request.peer_id[:8],
            request.peer_id[8:], request.uploaded, request.downloaded, request.left,
            request.event, 65535 if numwant is None else min(numwant, 65535),
            _flags(numwant, request.compact), crc32(request.key) & 0xFFFF if request.key else 0,
        )  # fmt: skip
        service.end()
        if torrent < 0:
            service.refused(torrent)
            return http.failure(_refusal(torrent, request.info_hash)), _TEXT
        return self._reply(torrent, request, len(address) == 16), _BENCODED

    def _reply(self, torrent: int, request: http.Announce, v6: bool) -> bytes:
        swarms = self._swarms
        cap = self._service.cap
        want = cap if request.numwant is None else min(request.numwant, cap)
        if request.event == events.STOPPED:
            want = 0
        peers4, peers6 = self._peers(torrent, want, request.left == 0, v6)
        counts = (
            self._interval,
            self._interval_min,
            swarms.seeders[torrent],
            swarms.leechers[torrent],
        )
        if request.compact:
            return http.announce_reply(*counts, peers4, peers6)
        rows = self._dictionaries(torrent, peers4, peers6)
        return http.announce_reply_dicts(*counts, rows, request.no_peer_id)

    def _peers(self, torrent: int, want: int, seeder: bool, v6: bool) -> tuple[bytes, bytes]:
        """Endpoints of both families, the asker's own family first."""
        if not want:
            return b"", b""
        service, swarms = self._service, self._swarms
        own, other = (swarms.v6, swarms.v4) if v6 else (swarms.v4, swarms.v6)
        first = own.pick(b"", torrent, want, service.peer, seeder, service.chance)
        room = want - len(first) // own.width
        second = b""
        if room and other.count[torrent]:
            second = other.pick(b"", torrent, room, service.peer, seeder, service.chance)
        return (second, first) if v6 else (first, second)

    def _dictionaries(
        self, torrent: int, peers4: bytes, peers6: bytes
    ) -> Iterator[tuple[bytes, str, int]]:
        swarms = self._swarms
        for endpoints, width, family in ((peers4, 6, AF_INET), (peers6, 18, AF_INET6)):
            for at in range(0, len(endpoints), width):
                endpoint = endpoints[at : at + width]
                peer_id = swarms.peer(swarms.find(torrent, endpoint)).peer_id
                port = int.from_bytes(endpoint[-2:], "big")
                yield peer_id, inet_ntop(family, endpoint[:-2]), port

    def _scrape(
        self, query: bytes | None, key: bytes | None, address: bytes, forwarded: bytes | None
    ) -> tuple[bytes, bytes]:
        try:
            hashes = http.parse_scrape(query)
        except http.WireError as error:
            return self._refuse(error.reason)
        if key is not None and not _is_key(key):
            return self._refuse(_INVALID_KEY)
        if self._proxied:
            address = forwarded_address(forwarded)
            if not address:
                return self._refuse(_BEHIND_PROXY)
        service = self._service
        service.count(events.TCP6_SCRAPES if len(address) == 16 else events.TCP4_SCRAPES)
        files = []
        for info_hash in hashes:
            seeders, completed, leechers = service.scrape(info_hash)
            files.append((info_hash, seeders, completed, leechers))
        return http.scrape_reply(files), _BENCODED

    def _refuse(self, reason: str) -> tuple[bytes, bytes]:
        self._service.count(events.REFUSED_REQUESTS)
        return http.failure(reason), _TEXT


_INVALID_KEY = (
    "Tracker authentication error: Authentication error: "
    "Invalid format for authentication key param."
)


def _is_key(key: bytes) -> bool:
    return len(key) == 32 and key.isalnum()


def _flags(numwant: int | None, compact: bool) -> int:
    return (events.FLAG_NUMWANT_ABSENT if numwant is None else 0) | (
        0 if compact else events.FLAG_DICTIONARIES
    )


def _refusal(refusal: int, info_hash: bytes) -> str:
    if refusal == LOG_FULL:
        return "Tracker error: the tracker cannot record announces now, try again later"
    return f"Tracker error: The torrent: {info_hash.hex()}, is not whitelisted"


def forwarded_address(header: bytes | None) -> bytes:
    """4 or 16 bytes of the right-most address in X-Forwarded-For, b"" when there is none."""
    if header is None:
        return b""
    try:
        address = ip_address(header.rpartition(b",")[2].strip().decode("ascii"))
    except ValueError:
        return b""
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).packed


def _finish(head: bytes, body: bytes, keep: bool) -> bytes:
    return head + (b"\r\n" if keep else b"Connection: close\r\n\r\n") + body
