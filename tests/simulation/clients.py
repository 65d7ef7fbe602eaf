"""Clients of a simulated tracker that call its handlers: no sockets, virtual time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import trio
from attrs import define, field

from eventlog import LogPrunedError, Reader
from tests.e2e.clients import announce_datagram, announce_target, bdecode, body, torrent
from tests.support import SELECTION_KEY
from tracker import ports
from tracker.domain import events
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp.handler import DatagramHandler
from tracker.service.commands import ServiceCommands
from tracker.service.read_model import LiveReads
from tracker.store.server_secret import key_hash
from tracker.wire import udp
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from eventlog import EventLog
    from tests.simulation.disk import Disk
    from tests.simulation.site import Promises
    from tracker.service.service import Service
    from tracker.store.noting import NotedLog

TORRENTS = 4
SECRET = b"s" * 32


@define
class Clients:
    """`promises` are recorded only while the disk has power: later answers reach no client."""

    service: Service
    log: EventLog
    noted: NotedLog
    disk: Disk
    promises: Promises
    chance: random.Random
    keys: list[ports.IssuedKey] = field(factory=list)
    commands: ServiceCommands = field(init=False)

    def begin(self, nursery: trio.Nursery) -> None:
        self.commands = ServiceCommands(self.service, self.noted, SECRET)
        for number in range(4):
            nursery.start_soon(self._udp, number)
            nursery.start_soon(self._http, number)
        for number in range(3):
            nursery.start_soon(self._admin, number)
        nursery.start_soon(self._read)
        nursery.start_soon(self._follow)

    # Announcing.

    def _fields(self) -> dict[str, int]:
        chance = self.chance
        return {
            "uploaded": chance.randrange(1000),
            "downloaded": chance.randrange(1000),
            "left": chance.choice((0, 0, 7)),
        }

    async def _udp(self, number: int) -> None:
        ids = ConnectionIds(SELECTION_KEY)
        handler = DatagramHandler(self.service, ids, 0)
        v6 = number % 2 == 1
        address = (bytes(15) if v6 else b"\x0a\0\0") + bytes([number + 1])

        def ask(*datagrams: bytes) -> list[bytes | None]:
            data = b"".join(datagrams)
            sizes = [len(one) for one in datagrams]
            places = [sum(sizes[:at]) for at in range(len(sizes))]
            handler.begin()
            try:
                return handler.answers(bytearray(data), places, sizes, [address] * len(sizes))
            finally:
                handler.end()

        while True:
            (reply,) = ask(udp.HEAD.pack(udp.MAGIC, udp.CONNECT, b"tran"))
            assert reply is not None
            for _ in range(self.chance.randrange(8)):
                batch = [self._datagram(reply[8:], number) for _ in range(self.chance.randrange(5))]
                for each in ask(*batch):
                    assert each is not None
                    assert each[3] in (udp.ANNOUNCE, udp.ERROR)
                await trio.sleep(self.chance.expovariate(2))

    def _datagram(self, connection_id: bytes, number: int) -> bytes:
        info_hash = torrent(self.chance.randrange(TORRENTS))
        event = self.chance.choice((0, 0, 0, 1, 2, 3))
        plain = announce_datagram(
            connection_id, info_hash, number, 6000 + number, event=event, **self._fields()
        )
        path = self._key_path().encode()
        return plain + (b"\x02" + bytes([len(path)]) + path if path else b"")

    def _key_path(self) -> str:
        """Returns the path of a tracker URL with a key, which mostly is in force."""
        return f"/announce/{self.chance.choice(self.keys).key}" if self.keys else ""

    async def _http(self, number: int) -> None:
        handler = RequestHandler(self.service, 1, proxied=False)
        address = bytes([10, 1, 0, number])
        while True:
            handler.begin()
            for _ in range(self.chance.randrange(1, 4)):
                reply = handler.answer(b"GET", self._target(number), address, None, True)
                assert reply.startswith(b"HTTP/1.1 200 OK")
                assert isinstance(bdecode(body(reply)), dict)
            handler.end()
            await trio.sleep(self.chance.expovariate(1))

    def _target(self, number: int) -> bytes:
        info_hash = torrent(self.chance.randrange(TORRENTS))
        if self.chance.random() < 0.2:
            return f"/scrape?info_hash={quote_from_bytes(info_hash)}".encode()
        event = self.chance.choice(("started", "completed", "stopped", ""))
        target = announce_target(info_hash, number, 7000 + number, event=event, **self._fields())
        return (self._key_path() or "/announce").encode() + target.removeprefix(
            "/announce"
        ).encode()

    # Administering. Each administrator has its own objects, so that it knows their expected state.

    async def _admin(self, number: int) -> None:
        while True:
            do = self.chance.choice((self._list, self._issue, self._change_key))
            with suppress(ports.LogUnavailableError), trio.move_on_after(self._patience()):
                await do(number)
            await trio.sleep(self.chance.expovariate(1))

    def _patience(self) -> float:
        return self.chance.choice((10.0, 10.0, 0.001, 0.1))

    async def _promise(
        self, work: Callable[[], Awaitable[Any]], facts: Callable[[Any], dict[tuple[str, Any], Any]]
    ) -> None:
        """Does the work. Once it is answered, the facts must hold for ever."""
        answer = await work()
        if not self.disk.dead:
            self.promises.facts.update(facts(answer))

    async def _list(self, number: int) -> None:
        info_hash = torrent(100 + 10 * number + self.chance.randrange(3))
        by = _actor(number)
        self.promises.facts.pop(("listed", info_hash), None)  # unknown until it is answered
        if self.chance.random() < 0.5:
            await self._promise(
                lambda: self.commands.whitelist_add([info_hash], by),
                lambda _: {("listed", info_hash): True},
            )
        else:
            await self._promise(
                lambda: self.commands.whitelist_remove(info_hash, by),
                lambda _: {("listed", info_hash): False},
            )

    async def _issue(self, number: int) -> None:
        new = ports.NewKey(owner=f"owner {number}", label="new")
        await self._promise(lambda: self.commands.issue_key(new, _actor(number)), self._facts_of)

    def _facts_of(self, issued: ports.IssuedKey) -> dict[tuple[str, Any], Any]:
        self.keys.append(issued)
        digest = key_hash(issued.key)
        return {("key", issued.key_ref): digest, ("in force", digest): True}

    async def _change_key(self, number: int) -> None:
        """Rotates, revokes or labels a key of this run that no other administrator is changing."""
        if not self.keys:
            return
        key = self.keys.pop(self.chance.randrange(len(self.keys)))
        digest, by = key_hash(key.key), _actor(number)
        gone = {("in force", digest): False}
        what = self.chance.randrange(3)
        if what == 2:
            self.promises.facts.pop(("label", key.key_ref), None)
            label = self.chance.choice(("a", "b", None))
            await self._promise(
                lambda: self.commands.label_key(key.key_ref, label, by),
                lambda _: {("label", key.key_ref): label},
            )
            self.keys.append(key)
            return
        self.promises.facts.pop(("in force", digest))
        self.promises.facts.pop(("label", key.key_ref), None)
        if what:
            await self._promise(
                lambda: self.commands.rotate_key(key.key_ref, by),
                lambda issued: gone | self._facts_of(issued),
            )
        else:
            await self._promise(
                lambda: self.commands.revoke_key_ref(key.key_ref, by), lambda _: gone
            )

    # Reading.

    async def _read(self) -> None:
        """Checks that the live totals equal the sums over all torrents."""
        while True:
            await trio.sleep(self.chance.expovariate(0.3))
            stats = LiveReads(self.service).now().stats()
            swarms = self.service.swarms
            counts = [swarms.counts(torrent(number)) for number in range(TORRENTS)]
            assert (stats.seeders, stats.leechers) == (
                sum(each[0] for each in counts),
                sum(each[2] for each in counts),
            )

    async def _follow(self) -> None:
        """Checks that a reader beside the tracker gets durable events, in order."""
        reader = Reader(self.log.path)
        next_seq = reader.first_seq
        while True:
            try:
                for one in reader.frames():
                    assert one.header.base_seq == next_seq
                    next_seq = one.header.next_seq
            except LogPrunedError:
                reader = Reader(self.log.path)
                next_seq = reader.first_seq
            assert next_seq <= self.log.durable_seq
            if not self.disk.dead:
                self.promises.saw(next_seq)
            await trio.sleep(self.chance.expovariate(1))


def _actor(number: int) -> ports.Actor:
    return ports.Actor(f"admin {number}", "10.2.0.1", f"request {number}")


assert events.COMPLETED == 1  # `announce_datagram` uses the same numbers
