"""Turns each datagram into its reply: the UDP tracker without its socket (BEP 15, 41).

Only a valid connection id proves that a datagram came from its source address, because anybody can
forge that. Without one no reply is longer than its datagram, and what begins like a tracker's reply
gets none (docs/security.md). Everything runs between `begin` and `end`.
"""

from __future__ import annotations

import os
from array import array
from time import perf_counter_ns
from typing import TYPE_CHECKING

from tracker.domain import events, packed, refusals
from tracker.frontends.refusing import refuse
from tracker.frontends.traffic import UdpTraffic
from tracker.frontends.udp import mmsg, recvmmsg, ring
from tracker.service.announce import EARLY, LEECH_OFF, NUMWANT_UNKNOWN
from tracker.service.rate_limits import Bans
from tracker.wire import http, udp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.frontends.udp.recvmmsg import Batch
    from tracker.service.announce import Holder
    from tracker.service.service import Service
    from tracker.wire.connection_id import ConnectionIds

_UNVERIFIED = "connection id could not be verified"
_NO_MAGIC = "bad request: Protocol identifier missing"
_BAD_EVENT = "bad request: Invalid announce event"
_BAD_PORT = "bad request: Port can't be 0"
_NO_TORRENT = "bad request: Full scrapes are not allowed"
_BAD_TORRENTS = "bad request: Invalid info hash list"
_PROBLEMS = {
    _UNVERIFIED: "connection_id",
    _NO_MAGIC: "constant",
    _BAD_EVENT: "event",
    _BAD_PORT: "port",
    _NO_TORRENT: "info_hash",
    _BAD_TORRENTS: "info_hash",
    refusals.INVALID_KEY: "key",
}
"""What is wrong with a malformed request, in the metrics, by the text of the reply. The texts about
the query in an announce's options (BEP 41) are not here.
"""

_PIECE = 32  # datagrams that are answered between two looks at the clock
_LEAST = 16
"""Datagrams that are received together although there is not the time for as many."""
_KEYS = 1 << 15
"""Keys that are remembered at most, by the options (BEP 41) they came in; 12 MB."""
_WAYS = 8  # places that a key may have; later keys take the first one where all are taken
MOST_OPTIONS = 128  # bytes of options whose key is remembered
_SECRET_WORDS = MOST_OPTIONS // 4 + 3  # of 64 bits, for `packed.text_hash`

_REPLIES = tuple(action.to_bytes(4, "big") for action in (udp.ANNOUNCE, udp.SCRAPE, udp.ERROR))
"""The first bytes of replies that are long enough to be taken for a request. That of a connect is
not.
"""
_ERROR = udp.ERROR.to_bytes(4, "big")
_REFUSED = b"Tracker "
"""How the texts begin that refuse a request with nothing wrong in it, see `refusals`."""
_MOST_PEERS = 1 << 16  # no bound but that of the settings
_AHEAD = 16  # datagrams for which memory is fetched at a time
_REPLY_BYTES = 2016  # room for any reply
_left_unknown = events.LEFT_UNKNOWN  # has a type in the .pxd, as `_nowhere` in `directory.py`

# `_answer` spells these numbers out, because a global costs a dictionary look-up. This keeps them
# true.
if (
    (events.STOPPED, events.PAUSED, events.UDP4, events.UDP6) != (3, 4, 2, 3)
    or (udp.ANNOUNCE, udp.ANNOUNCE_SIZE, udp.ANNOUNCE_REPLY.size, EARLY, LEECH_OFF)
    != (1, 98, 20, -100, -101)
    or (udp.SCRAPE, udp.HEAD_SIZE, udp.MAX_SCRAPED) != (2, 16, 74)
    or (events.FLAG_NUMWANT_ABSENT, NUMWANT_UNKNOWN) != (1, 65535)
    or (_KEYS, _WAYS, MOST_OPTIONS, _AHEAD, _LEAST, _PIECE) != (32768, 8, 128, 16, 16, 32)
    or recvmmsg.BATCH != 256
    or (ring.PROVED, ring.SHORT, ring.CONNECT4, ring.CONNECT6) != (1, 2, 3, 4)
):
    raise AssertionError("DatagramHandler spells these numbers out")


class DatagramHandler:
    """Answers the datagrams of one listener."""

    __slots__ = (
        "_ahead",
        "_bans",
        "_each_ns",
        "_external",
        "_keys",
        "_listener",
        "_options",
        "_scraped4",
        "_scraped6",
        "_scratch",
        "_secret",
        "_service",
        "_swarms",
        "deadline",
        "ids",
        "settle",
        "traffic",
    )  # fmt: skip

    def __init__(
        self,
        service: Service,
        ids: ConnectionIds,
        listener: int,
        external: bytes | None = None,
        bans: Bans | None = None,
        traffic: UdpTraffic | None = None,
    ) -> None:
        """Binds the handler to a service.

        Args:
            ids: issues and checks connection ids.
            listener: number that announces are logged with, 0..255.
            external: address to list clients on this machine under, 4 or 16 bytes; None = theirs.
            bans: shared by all listeners; None = no address is banned.
            traffic: counters for the metrics.
        """
        self.traffic = traffic or UdpTraffic()
        self._bans = bans or Bans(0, 1)
        self._external = external
        self._service = service
        self._swarms = service.swarms
        self.ids = ids
        self._listener = listener
        # Keys that were once in force, and the options (BEP 41) that they came in.
        self._keys: list[Holder | None] = [None] * _KEYS
        self._options: list[bytes | None] = [None] * _KEYS
        self._ahead = array("I", bytes(4 * _AHEAD))  # torrents of the datagrams that come next
        self._scratch = bytearray(18)  # for an endpoint
        self._scraped4 = self._scraped6 = 0  # scrapes of the batch, counted at its end
        self._each_ns = 8_000  # a request took lately
        self._secret = array("Q", os.urandom(8 * _SECRET_WORDS))
        self.settle = service.settle if service.strict else None
        self.deadline = service.deadline

    def begin(self) -> None:
        """Opens a batch: call it before `answers`."""
        self.ids.set_time(self._service.begin() // 1_000_000)

    def end(self) -> None:
        """Closes a batch."""
        if self._scraped4:
            self._count_scrapes(events.UDP4_SCRAPES, self._scraped4)
            self._scraped4 = 0
        if self._scraped6:
            self._count_scrapes(events.UDP6_SCRAPES, self._scraped6)
            self._scraped6 = 0
        self._service.end()

    def serve(self, batch: Batch, until: int) -> None:
        """Answers the datagrams that have arrived, and those that arrive meanwhile, until then, by
        `perf_counter_ns`; the rest stays in the socket.

        Replies do not wait for the disk. Raises the `OSError` of `Batch.receive`.
        """
        began = now = perf_counter_ns()
        if not batch.filled(self._room(until - now)):
            return
        requests = unsent = 0
        self.begin()
        try:
            while batch.filled(self._room(until - now)):
                first = batch.first
                if self.deadline.passed():
                    last = self.late(batch)
                else:
                    last = self.answer_some(batch, until)
                    unsent += last - first if self.deadline.passed() else batch.send(last, first)
                requests += last - first
                now = perf_counter_ns()
                self._each_ns = (now - began) // requests + 1
                if now >= until:
                    break
                self._service.go_on()
        finally:
            self.end()
            self.traffic.batch(requests, unsent, now - began)

    def answer_some(self, batch: Batch, until: int) -> int:
        """Answers datagrams of a batch from `batch.first` on, until then, and moves that on.

        Returns the slot after them. It looks at the clock after each piece, because one datagram
        can take a hundred times as long as another.
        """
        first, silent = batch.first, False
        while first < batch.count:
            last = min(first + 32, batch.count)  # _PIECE
            self.answer_all(batch, last - first, first)
            silent = silent or batch.silent
            first = last
            if perf_counter_ns() >= until:
                break
        batch.first, batch.silent = first, silent
        return first

    def _room(self, left_ns: int) -> int:
        """Returns how many datagrams to receive in the time left, by what those before took."""
        return max(16, min(256, left_ns // self._each_ns))  # _LEAST, BATCH

    def answer_all(self, batch: Batch, count: int, first: int = 0) -> None:
        """Answers `count` datagrams of a batch, in its slots from `first` on.

        A receiver has answered connects already, but they are counted here.
        """
        if not packed.COMPILED:
            self._answer_each(batch, first, first + count)
            return
        end = first * 2016
        connects4 = connects6 = short = 0
        batch.silent = False
        for slot in range(first, first + count):
            if not (slot - first) & 15:  # _AHEAD - 1
                self._fetch(batch, slot, min(slot + 16, first + count))
            verdict = batch.verdicts[slot]
            if verdict > 1:  # ring.PROVED
                short += verdict == 2  # ring.SHORT
                connects4 += verdict == 3  # ring.CONNECT4
                connects6 += verdict == 4  # ring.CONNECT6
                continue
            v6 = batch.v6
            if v6:
                address = packed.view(batch.names, slot * 32 + 8, 16)  # of a sockaddr_in6
                if udp.is_mapped(address):
                    v6 = False
                    address = packed.view(batch.names, slot * 32 + 20, 4)
            else:
                address = packed.view(batch.names, slot * 32 + 4, 4)  # of a sockaddr_in
            size = self._answer(
                batch.data, slot * 2016, mmsg.size_of(batch.heads, slot), address, v6,
                batch.replies, end, 65536, verdict == 1,
            )  # fmt: skip
            mmsg.put_vector(batch.vectors, slot * 16, batch.base + end, size)
            if not size:
                batch.silent = True
            end += size
        if short or connects4 or connects6:
            self._count_ignored(short)
            self._count_connects(connects4, v6=False)
            self._count_connects(connects6, v6=True)

    def _answer_each(self, batch: Batch, first: int, last: int) -> None:
        """Does it in the pure build: takes the sources and sizes out of the batch at once.

        This build has no receivers.
        """
        end, data, out = first * 2016, batch.data, batch.replies
        batch.silent = False
        arrived = mmsg.arrived(batch.names, batch.heads, first, last, batch.v6)
        for slot, (address, size) in enumerate(arrived, first):
            v6 = len(address) == 16
            put = self._answer(data, slot * 2016, size, address, v6, out, end, 65536, False)
            mmsg.put_vector(batch.vectors, slot * 16, batch.base + end, put)
            if not put:
                batch.silent = True
            end += put

    def _fetch(self, batch: Batch, first: int, last: int) -> None:
        """Fetches what some datagrams will need into the processor's cache.

        It does each step for all of them, because otherwise each announce would wait for memory
        several times, and one announce after the other. Nothing depends on it.
        """
        swarms, torrents, index = self._swarms, self._ahead, self._swarms._index
        for slot in range(first, last):
            info_hash = packed.view(batch.data, slot * 2016 + 16, 20)
            key = packed.hashed(index.secret, info_hash, 20, 0)
            table = index.tables[key & 255]
            packed.fetch_words(table, (key >> 8) & (len(table) - 1), 1)
        for slot in range(first, last):
            torrent = swarms.torrent_of(packed.view(batch.data, slot * 2016 + 16, 20))
            packed.put_u32(torrents, slot & 15, torrent)
            packed.fetch_words(swarms.tables.torrents, torrent * 8, 8)
            if batch.v6:
                packed.fetch_words(swarms.v6._runs, torrent * 4, 4)
        for step in range(2):
            for slot in range(first, last):
                torrent = packed.u32(torrents, slot & 15)
                at = slot * 32 + (8 if batch.v6 else 4)
                v6 = batch.v6 and not udp.is_mapped(packed.view(batch.names, at, 16))
                if batch.v6 and not v6:
                    at += 12
                directory = swarms.v6 if v6 else swarms.v4
                start, size, _, room = packed.run(
                    directory._runs, torrent * directory._words + directory._word
                )
                if not (torrent and size) or room > 6:
                    continue  # `Directory.find` would not look through the endpoints
                if not step:
                    width = directory.width
                    packed.fetch(directory.addresses, start * width, size * width)
                    packed.fetch_words(directory.owners, start, size)
                else:
                    address = packed.view(batch.names, at, 16 if v6 else 4)
                    port = packed.view(batch.data, slot * 2016 + 96, 2)
                    endpoint = packed.endpoint(self._scratch, address, port, v6)
                    packed.fetch(swarms.rows, directory.find(torrent, endpoint) * 72, 72)

    def answers(
        self,
        data: bytearray,
        places: Sequence[int],
        sizes: Sequence[int],
        addresses: Sequence[bytes],
    ) -> list[bytes | None]:
        """Returns the replies to some datagrams, see `answer`."""
        each = zip(places, sizes, addresses, strict=False)
        return [self.answer(data, at, size, address) for at, size, address in each]

    def answer(
        self,
        data: bytes | bytearray,
        at: int,
        size: int,
        address: bytes,
        most_peers: int = _MOST_PEERS,
    ) -> bytes | None:
        """Returns the reply to one datagram of `size` bytes at `at`; see `_answer`."""
        own = data if isinstance(data, bytearray) else bytearray(data)
        out = bytearray(_REPLY_BYTES)
        size = self._answer(own, at, size, address, len(address) == 16, out, 0, most_peers, False)
        return bytes(out[:size]) if size else None

    def _answer(
        self,
        data: bytearray,
        at: int,
        size: int,
        address: bytes,
        v6: bool,
        out: bytearray,
        to: int,
        most_peers: int,
        proved: bool,
    ) -> int:
        """Writes the reply to one datagram, with `most_peers` or fewer. Returns its size.

        The datagram has `size` bytes at `at` of `data`, and came from `address` of 4 or 16 bytes.
        `proved`: it is an announce, and its connection id is known to be good.
        The reply goes into `out` at `to`. Its size is 0 when the datagram is no request, or it has
        no valid connection id and its address is banned.
        """
        if size < 98:
            return self._put_other(data, at, size, address, v6, out, to)
        (
            connection_id, action, transaction, info_hash, peer_id, downloaded, left, uploaded,
            event, key, numwant, port,
        ) = udp.announce_request(data, at)  # fmt: skip
        ids = self.ids
        if action != 1 or not (proved or ids.knows(connection_id, address, v6)):  # udp.ANNOUNCE
            if action != 1:
                return self._put_other(data, at, size, address, v6, out, to)
            source = address[: 16 if v6 else 4]
            if not ids.valid(bytes(data[at : at + 8]), source):
                return _put(out, to, self._unproved(data, at, size, source, peer_id[:20]))
        if event > 4 or (event != 3 and udp.is_zero(port)):  # events.PAUSED, events.STOPPED
            problem = _BAD_EVENT if event > 4 else _BAD_PORT
            return _put(out, to, self._error(transaction[:4], problem, peer_id[:20]))
        service, swarms = self._service, self._swarms
        holder: Holder | None = None
        if service.guarded:
            known = self._key_of(data, at, size) if service.private else None
            if known is not None and service.holds(known):
                holder = known
            elif service.private or not service.admits(address, v6):
                admitted = self._admit(data, at, size, address[: 16 if v6 else 4], known)
                if isinstance(admitted, bytes):
                    return _put(out, to, admitted)
                holder = admitted
        if self._external is not None and udp.is_loopback(address, v6):
            source = self._external
            address = source
            v6 = len(source) == 16
        cap = service.cap
        if most_peers < cap:
            cap = most_peers
        if 0 < numwant < cap:
            want = noted = numwant
            flags = 0
        else:
            want = cap
            noted = numwant if 0 < numwant < 65535 else 65535  # the record has 16 bits
            flags = 0 if numwant > 0 else 1  # events.FLAG_NUMWANT_ABSENT
        # Counters beyond 63 bits cannot be real, so they must not reach the accounting. A call of
        # `max` would take the pure build longer.
        torrent = service.decide(
            self._listener, 3 if v6 else 2, address, port, info_hash, peer_id,
            uploaded if uploaded > 0 else 0,  # noqa: FURB136
            downloaded if downloaded > 0 else 0,  # noqa: FURB136
            left if left >= 0 else _left_unknown, event, noted, flags, key, holder, b"",
        )  # fmt: skip
        if torrent < 0:
            if torrent > -100:  # neither EARLY nor LEECH_OFF
                return _put(
                    out,
                    to,
                    self._refuse(transaction[:4], torrent, info_hash[:20], None, peer_id[:20]),
                )
            torrent = swarms.torrent_of(info_hash)
            want = 0
        if want > service.budget:
            want = service.budget
        seeders, leechers = packed.counts(swarms.tables.torrents, torrent * 32)
        interval = service.interval()
        udp.put_announce_head(out, to, 1, transaction, interval, leechers, seeders)
        if event == 3 or not want:
            return 20
        directory = swarms.v6 if v6 else swarms.v4
        return 20 + directory.put_picked(
            out, to + 20, torrent, want, service.peer, left == 0, service.selection_key,
            service.number, service.apart,
        )  # fmt: skip

    def _put_other(
        self,
        data: bytearray,
        at: int,
        size: int,
        address: bytes,
        v6: bool,
        out: bytearray,
        to: int,
    ) -> int:
        """Writes the reply to what is no announce, and returns its size; see `_answer`.

        A scrape makes no object, unless its connection id is not remembered, its form is wrong, or
        the tracker hides torrents.
        """
        if (
            size < 36 or udp.action(data, at) != 2 or (size - 16) % 20  # udp.SCRAPE, udp.HEAD_SIZE
            or self._service.hiding or self._service._state.barring
        ):  # fmt: skip
            return _put(out, to, self._other(data, at, size, address[: 16 if v6 else 4]))
        connection_id, transaction = udp.scrape_head(data, at)
        if not self.ids.knows(connection_id, address, v6):
            return _put(out, to, self._other(data, at, size, address[: 16 if v6 else 4]))
        swarms, count = self._swarms, min((size - 16) // 20, 74)  # udp.MAX_SCRAPED
        udp.put_head(out, to, 2, transaction)
        for number in range(count):
            place = packed.view(data, at + 16 + 20 * number, 20)
            seeders, completed, leechers = swarms.counts_of(place)
            completed = min(completed, 0xFFFFFFFF)
            udp.put_counts(out, to + 8 + 12 * number, seeders, completed, leechers)
        if v6:
            self._scraped6 += 1
        else:
            self._scraped4 += 1
        return 8 + 12 * count

    def _admit(
        self,
        data: bytes | bytearray,
        at: int,
        size: int,
        address: bytes,
        known: Holder | None,
    ) -> Holder | bytes | None:
        """Returns the key to announce with, None outside of private modes, or the reply that
        refuses. `known`: the key that was once in force, if that is remembered.
        """
        service = self._service
        text = None if known is None else known.text
        if service.private and text is None:
            try:
                text = self._key_in(udp.url_data(data, at + 98, at + size))
            except http.WireError as error:
                # No malformed request counts towards the rate, over HTTP neither, because the reply
                # that refuses for the rate would be as much work.
                transaction = bytes(data[at + 12 : at + 16])
                return self._error(transaction, error.reason, bytes(data[at + 36 : at + 56]))
        key = service.admit(address, text)
        if isinstance(key, int):
            transaction, info_hash = bytes(data[at + 12 : at + 16]), bytes(data[at + 16 : at + 36])
            peer_id = bytes(data[at + 36 : at + 56])
            return self._refuse(transaction, key, info_hash, text, peer_id)
        if key is not None and key is not known:
            self._remember_key(bytes(data[at + 98 : at + size]), key)
        return key

    def _key_of(self, data: bytearray, at: int, size: int) -> Holder | None:
        """Returns the key that came in the options of an announce; None = they must be parsed."""
        size -= 98
        if not 4 <= size <= 128:  # MOST_OPTIONS
            return None
        options = packed.view(data, at + 98, size)
        place = packed.text_hash(self._secret, options, size) & 32767  # _KEYS - 1
        for way in range(8):  # _WAYS
            known = self._options[place ^ way]
            if known is None:
                break
            if packed.is_text(known, options, size):
                return self._keys[place ^ way]
        return None

    def _remember_key(self, options: bytes, key: Holder) -> None:
        """Remembers a key, so that the next announce with these options need not parse them."""
        size = len(options)
        if 4 <= size <= MOST_OPTIONS:
            first = packed.text_hash(self._secret, options, size) & _KEYS - 1
            places = [first ^ way for way in range(_WAYS)]
            place = next((at for at in places if self._options[at] in (None, options)), first)
            self._options[place] = options
            self._keys[place] = key

    def _other(self, data: bytearray, at: int, size: int, address: bytes) -> bytes | None:
        """Returns the reply to anything but a whole announce."""
        if size < udp.HEAD_SIZE:
            self._count_ignored()
            return None
        connection_id, action, transaction = udp.HEAD.unpack_from(data, at)
        if action == udp.SCRAPE:
            if self.ids.valid(connection_id, address):
                return self._scrape(data, at, size, address, transaction)
            return self._unproved(data, at, size, address)
        if action != udp.CONNECT:
            self._count_ignored()  # no request has this action, or it is an announce cut off
            return None
        if connection_id != udp.MAGIC:
            return self._error_unproved(data, at, size, address, _NO_MAGIC)
        self._count_connects(1, v6=len(address) == 16)
        return udp.CONNECT_REPLY.pack(udp.CONNECT, transaction, self.ids.issue(address))

    def _scrape(
        self, data: bytearray, at: int, size: int, address: bytes, transaction: bytes
    ) -> bytes:
        if size == udp.HEAD_SIZE:
            return self._error(transaction, _NO_TORRENT)
        if (size - udp.HEAD_SIZE) % 20:
            return self._error(transaction, _BAD_TORRENTS)
        service = self._service
        if not service.admits(address, len(address) == 16):
            return self._refuse(transaction, refusals.RATE_EXCEEDED, b"")
        self._count_scrapes(events.UDP6_SCRAPES if len(address) == 16 else events.UDP4_SCRAPES, 1)
        hashes = udp.scrape_hashes(data, at, size)
        # A scrape carries no key, so in a private mode it gets zeros.
        counts = [(0, 0, 0) if service.private else service.scrape(each) for each in hashes]
        return udp.scrape_reply(transaction, counts)

    def _unproved(
        self, data: bytearray, at: int, size: int, address: bytes, peer_id: bytes = b""
    ) -> bytes | None:
        """Returns the reply to an announce or scrape without a valid connection id.

        Where nobody needs one, the reply is not longer than the request all the same.
        """
        if self.ids.checked:
            return self._error_unproved(data, at, size, address, _UNVERIFIED, peer_id)
        if data[at : at + 4] in _REPLIES:
            self._count_ignored()
            return None
        if not peer_id:
            transaction = bytes(data[at + 12 : at + 16])
            reply: bytes | None = self._scrape(data, at, size, address, transaction)
            return self._within(size, reply, address)
        data[at : at + 8] = self.ids.issue(address)  # so that it passes for proved
        external = self._external or b""
        width = 18 if 16 in (len(address), len(external)) else 6  # bytes of a peer
        room = (size - udp.ANNOUNCE_REPLY.size) // width
        return self._within(size, self.answer(data, at, size, address, room), address)

    def _error_unproved(
        self, data: bytearray, at: int, size: int, address: bytes, text: str, peer_id: bytes = b""
    ) -> bytes | None:
        """Returns the error for a datagram whose source may be forged.

        It is None where `_within` says so, and for what begins like the reply of a tracker. A ban
        ends these errors and nothing else, because the address's holder did not send what a forger
        sent in its name.
        """
        now_us = self._service.now_us()
        if self._bans.banned(address, now_us):
            self._count_banned()
            return None
        if data[at : at + 4] in _REPLIES:
            self._count_ignored()
            return None
        if peer_id:
            self.traffic.wrong_id(peer_id)
        transaction = bytes(data[at + 12 : at + 16])
        return self._within(size, self._error(transaction, text, peer_id), address)

    def _within(self, size: int, reply: bytes | None, address: bytes) -> bytes | None:
        """Returns the reply to a datagram of `size` bytes whose source may be forged.

        An error counts towards a rate and, unless it refuses a good request, towards a ban. It is
        None beyond these, and where it would be longer than the datagram even without the contact.
        """
        if reply is None:
            return None
        allowed = True
        if reply.startswith(_ERROR):
            now_us = self._service.now_us()
            if self._bans.banned(address, now_us):
                self.traffic.errors -= 1
                self._count_banned()
                return None
            bans = not reply.startswith(_REFUSED, 8)  # after action and transaction
            if len(reply) > size:
                reply = reply.partition(b". Contact: ")[0]
            allowed = self._bans.add_error(address, now_us, bans=bans)
        if allowed and len(reply) <= size:
            return reply
        self.traffic.errors -= 1
        self._count_ignored()
        return None

    def late(self, batch: Batch) -> int:
        """Counts the datagrams of a batch that wait after the deadline, and so get no reply, as
        ignored. Returns the slot after them.
        """
        self.traffic.ignored += batch.count - batch.first
        batch.first = batch.count
        return batch.count

    def _count_scrapes(self, counter: int, count: int) -> None:
        self.traffic.scrapes += count
        self._service.count(counter, by=count)

    def _count_connects(self, count: int, *, v6: bool) -> None:
        if count:
            self.traffic.connects += count
            self._service.count(events.UDP6_CONNECTS if v6 else events.UDP4_CONNECTS, by=count)

    def _count_ignored(self, count: int = 1) -> None:
        if count:
            self._service.count(events.UDP_DROPPED, by=count)
            self.traffic.ignored += count

    def _count_banned(self) -> None:
        self._service.count(events.UDP_DROPPED, events.DROPPED_BANNED)
        self.traffic.banned += 1

    def _key_in(self, url_data: bytes) -> bytes | None:
        """Reads the key in a tracker URL's path or query (BEP 41). Raises `WireError` if it has no
        key's form, and is not known either.
        """
        target = http.parse_target(url_data)
        text = target.key or http.query_passkey(target.query)
        if not text:
            other = http.other_key(target.query)
            return other if other and self._service.knows(other) else None
        if not http.is_key(text) and not self._service.knows(text):
            raise http.WireError(refusals.INVALID_KEY)
        return text

    def _refuse(
        self,
        transaction: bytes,
        refusal: int,
        info_hash: bytes,
        key: bytes | None = None,
        peer_id: bytes = b"",
    ) -> bytes:
        """Returns the error reply for a refusal; `key` is the key sent, if that was refused."""
        self.traffic.errors += 1
        return udp.error(transaction, refuse(self._service, refusal, info_hash, key, peer_id))

    def _error(self, transaction: bytes, text: str, peer_id: bytes = b"") -> bytes:
        """Returns the error reply to a malformed request."""
        self._service.refused_malformed("udp", _PROBLEMS.get(text, "query"), peer_id)
        self.traffic.errors += 1
        if text == refusals.INVALID_KEY:
            text = refusals.with_contact(text, self._service.settings.policy.contact)
        return udp.error(transaction, text)


def _put(out: bytearray, to: int, reply: bytes | None) -> int:
    """Copies a reply that is an object; returns its size, 0 = there is none."""
    if reply is None:
        return 0
    out[to : to + len(reply)] = reply
    return len(reply)
