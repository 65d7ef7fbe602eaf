"""One datagram in, one reply out: the UDP tracker without its socket (BEP 15).

Nothing longer than a short error is sent before a valid connection id, so that a forged source address gains nobody
anything. Runs between `begin` and `end`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import events
from tracker.service import LOG_FULL
from tracker.wire import udp

if TYPE_CHECKING:
    from tracker.service import Service
    from tracker.wire.connection_id import ConnectionIds

Announce = tuple[bytes, int, bytes, bytes, bytes, bytes, int, int, int, int, int, int, bytes]

_FULL = "Tracker error: the tracker cannot record announces now, try again later"

_UNPACK = udp.ANNOUNCE_REQUEST.unpack_from
_HEAD = udp.ANNOUNCE_REPLY.pack


class DatagramHandler:
    __slots__ = ("_ids", "_interval", "_known", "_listener", "_service", "_swarms")

    def __init__(self, service: Service, ids: ConnectionIds, listener: int) -> None:
        """`listener`: the number that announces are logged with, 0..255."""
        self._service = service
        self._swarms = service.swarms
        self._ids = ids
        self._known = ids.known
        self._listener = listener
        self._interval = service.settings.interval

    def begin(self) -> None:
        """Before each batch."""
        self._ids.set_time(self._service.begin() // 1_000_000)

    def end(self) -> None:
        self._service.end()

    def answer(self, data: bytes | bytearray, at: int, size: int, address: bytes) -> bytes | None:
        """The reply to a datagram of `size` bytes at `at`, from an address of 4 or 16 bytes.

        None for what deserves none: too short to carry a transaction id.
        """
        if size >= 98:
            request = _UNPACK(data, at)
            if request[1] == 1:
                return self._announce(request, address)
        elif size < 16:
            self._service.count(events.UDP_DROPPED)
            return None
        return self._other(data, at, size, address)

    def _announce(self, request: Announce, address: bytes) -> bytes:
        (
            connection_id, _, transaction, info_hash, id_head, id_tail, downloaded, left, uploaded,
            event, key, numwant, port,
        ) = request  # fmt: skip
        # The ids that were checked lately are at hand: that spares most announces a call.
        if self._known.get(connection_id) != address and not self._ids.valid(
            connection_id, address
        ):
            return self._error(transaction, "connection id could not be verified")
        if event > 3:
            return self._error(transaction, "bad request: Invalid announce event")
        if port == b"\0\0" and event != 3:  # events.STOPPED
            return self._error(transaction, "bad request: Port can't be 0")
        # Counters beyond 63 bits are no bytes anybody moved: they must not reach the accounting.
        if left < 0:
            left = events.LEFT_UNKNOWN
        if uploaded < 0:
            uploaded = 0
        if downloaded < 0:
            downloaded = 0
        service = self._service
        swarms = self._swarms
        if len(address) == 4:
            path, directory = 2, swarms.v4  # events.UDP4
        else:
            path, directory = 3, swarms.v6
        torrent = service.announce(
            self._listener, path, address, port, info_hash, id_head, id_tail, uploaded,
            downloaded, left, event, numwant if 0 < numwant < 65535 else 65535, 0, key & 0xFFFF,
        )  # fmt: skip
        if torrent < 0:
            return self._refuse(transaction, torrent, info_hash)
        head = _HEAD(
            1, transaction, self._interval, swarms.leechers[torrent], swarms.seeders[torrent]
        )
        if event == 3:
            return head
        want = service.cap
        if 0 < numwant < want:
            want = numwant
        return directory.pick(head, torrent, want, service.peer, left == 0, service.chance)

    def _other(self, data: bytes | bytearray, at: int, size: int, address: bytes) -> bytes:
        connection_id, action, transaction = udp.HEAD.unpack_from(data, at)
        if action == udp.CONNECT:
            if connection_id != udp.MAGIC:
                return self._error(transaction, "bad request: Protocol identifier missing")
            v6 = len(address) == 16
            self._service.count(events.UDP6_CONNECTS if v6 else events.UDP4_CONNECTS)
            return udp.CONNECT_REPLY.pack(udp.CONNECT, transaction, self._ids.issue(address))
        if action == udp.SCRAPE:
            return self._scrape(data, at, size, address)
        if action == udp.ANNOUNCE:
            return self._error(transaction, "bad request: invalid data")
        return self._error(transaction, "bad request: Invalid action")

    def _scrape(self, data: bytes | bytearray, at: int, size: int, address: bytes) -> bytes:
        connection_id, _, transaction = udp.HEAD.unpack_from(data, at)
        if not self._ids.valid(connection_id, address):
            return self._error(transaction, "connection id could not be verified")
        if size == udp.HEAD_SIZE:
            return self._error(transaction, "bad request: Full scrapes are not allowed")
        if (size - udp.HEAD_SIZE) % 20:
            return self._error(transaction, "bad request: Invalid info hash list")
        service = self._service
        service.count(events.UDP6_SCRAPES if len(address) == 16 else events.UDP4_SCRAPES)
        counts = [service.scrape(info_hash) for info_hash in udp.scrape_hashes(data, at, size)]
        return udp.scrape_reply(transaction, counts)

    def _refuse(self, transaction: bytes, refusal: int, info_hash: bytes) -> bytes:
        self._service.refused(refusal)
        if refusal == LOG_FULL:
            return udp.error(transaction, _FULL)
        text = f"Tracker error: The torrent: {info_hash.hex()}, is not whitelisted"
        return udp.error(transaction, text)

    def _error(self, transaction: bytes, text: str) -> bytes:
        self._service.count(events.REFUSED_REQUESTS)
        return udp.error(transaction, text)
