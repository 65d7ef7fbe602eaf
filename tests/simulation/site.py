"""Runs of a tracker on a disk that loses power: it starts, serves clients, ends somehow, starts
again.

Everything but the sockets is real: the handlers of both protocols, admin commands, ticks, counters,
the event log with its committer and recovery, and the schedules that make snapshots, seals and
keys, prune and shred. Acknowledged facts are recorded outside and
checked after every start.
"""

from __future__ import annotations

import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field

from eventlog import (
    EventLog,
    LogError,
    LogUnusableError,
    Reader,
    first_seq,
    open_log,
    read_identity,
)
from tests.simulation import scheduling
from tests.simulation.clients import Clients
from tests.simulation.disk import Disk, PowerCut
from tests.support import SECOND, SELECTION_KEY, START_US, finished, replayed
from tests.tracker.pruned import InlinePruner
from tracker import ports
from tracker.domain.events import DAY_US, codec
from tracker.domain.events.admin import AddressesLost, TrackerStarted, TrackerStopped
from tracker.domain.settings import Settings
from tracker.offline.verify import Verification
from tracker.process.timers import log_counters, tick
from tracker.service.clock import LogClock
from tracker.service.service import Service
from tracker.store import high_water_mark, opening_balance, snapshots, tag_keys
from tracker.store.address_keys import Keyring, day_of, parse_day
from tracker.store.noting import NotedLog
from tracker.store.replay import apply_all, replay
from tracker.store.server_secret import SecretError
from tracker.upkeep.retention import PruningError
from tracker.upkeep.shredding import Shredder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from eventlog import End, Frame, OpenFrame
    from tracker.domain.state import State

Record = tuple[int, int, bytes]
"""A frame's first seq, kind and plain section."""


BY = ports.Actor("admin", "192.0.2.1", "", "")
KEEP_BYTES = 6_000


@define
class Promises:
    """Facts that clients outside were given. They must survive everything."""

    durable: int = 0  # events that the log called durable or a reader was given
    noted: int = 0  # events that were acknowledged to administrators
    facts: dict[tuple[str, Any], Any] = field(
        factory=dict
    )  # facts that admin commands acknowledged
    shredded: set[int] = field(factory=set)  # days whose keys were called destroyed

    def saw(self, next_seq: int) -> None:
        self.durable = max(self.durable, next_seq)


@define(eq=False)
class Acknowledging(NotedLog):
    """Records what is acknowledged to administrators while the disk has power."""

    promises: Promises = field(kw_only=True)
    disk: Disk = field(kw_only=True)

    async def wait_durable(self, seq: int) -> None:
        await super().wait_durable(seq)
        if not self.disk.dead:
            self.promises.noted = max(self.promises.noted, seq + 1)


@define
class Site:
    """`trace` records what happened. The same seed gives the same trace."""

    folder: Path
    seed: int
    chance: random.Random = field(init=False)
    disk: Disk = field(init=False)
    settings: Settings = field(init=False)
    wall_us: int = START_US
    promises: Promises = field(factory=Promises)
    trace: list[tuple[Any, ...]] = field(factory=list)
    _appended: list[Frame] = field(
        factory=list
    )  # all frames that this log should hold, including those that may be lost
    _last: tuple[int, set[str]] = (
        0,
        set(),
    )  # events and digest of the live state at the end of the last life
    _whole: bool = False  # the last run ended in order

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        root = self.folder / "disk"
        root.mkdir()
        self.disk = Disk(root, self.chance)
        self.settings = Settings(
            private=self.seed % 2 == 1,
            max_peer_timeout=20,
            inactive_peer_cleanup_interval=10,
            tick_ms=3_000,
        )

    @property
    def secrets(self) -> Path:
        return self.disk.path / "data" / "secrets"

    def live(self) -> None:
        """Makes one run, from the start to any kind of end."""
        chance = self.chance
        self.disk.trouble = chance.choice((0.0, 0.0, 0.002, 0.03))
        self.disk.cut_in = chance.choice((None, chance.randrange(40), chance.randrange(400)))
        with self.disk.attached():
            how = self._start()
        self.trace.append(
            (how, self.disk.calls, self.disk.failures, self._last[0], sorted(self._last[1]))
        )
        if self.disk.dead or chance.random() < 0.3:
            self.disk.power_up()
        self.wall_us += chance.choice((0, 1, 3600, -3600, 2 * DAY_US // SECOND)) * SECOND

    def _start(self) -> str:
        path = self.disk.path / "data" / "log"
        keyring = Keyring(self.secrets)
        try:
            tag_keys.prepare(path, self.secrets)
            log = open_log(
                path,
                codec.RECORD_SIZES,
                keyring.tags,
                segment_bytes=self.chance.choice((1, 3_000, 1 << 20)),
                linger_seconds=self.chance.choice((0.0, 0.005, 0.05)),
                encryptor=keyring,
                before_changes=partial(self._reaches_its_note, path),
                begin=partial(opening_balance.history, path, keyring),
            )
        except PowerCut:
            return "cut while starting"
        except (LogUnusableError, OSError):
            assert self.disk.failures
            return "could not start"
        try:
            noted = Acknowledging(log, self.secrets, promises=self.promises, disk=self.disk)
        except PowerCut:
            return "cut while starting"
        except OSError:
            assert self.disk.failures
            log.release()
            return "could not start"
        if self.disk.dead:
            return "cut while starting"
        self._tee(log)
        self.disk.watched = True
        state = self._check(path, log)
        self.disk.watched = False
        try:
            keyring.prepare(day_of(max(self.wall_us, state.time_us)))
        except PowerCut:
            return "cut while starting"
        except OSError:
            assert self.disk.failures
            log.release()
            return "could not start"
        try:
            scheduling.run(lambda: self._serve(log, noted, state, keyring), self.chance)
        except* PowerCut:
            pass
        except* LogError:
            assert self.disk.failures
        else:
            self._whole = True
        self._record_end(log, state)
        return "stopped" if self._whole else "cut" if self.disk.dead else "failed"

    # After a start.

    def _reaches_its_note(self, path: Path, end: End) -> None:
        """Checks that no crash looks like an older copy, and that the note covers what was
        acknowledged."""
        log_id = read_identity(path)
        older = high_water_mark.compare(self.secrets, path, log_id, end)
        assert older is None, older
        mark = high_water_mark.read(self.secrets, log_id)
        assert (mark.seq if mark else 0) >= self.promises.noted

    def _check(self, path: Path, log: EventLog) -> State:
        """Checks that the log is a whole prefix of the appended frames and keeps every promise.

        Its beginning may have been removed.
        """
        reached, begin = log.next_seq, first_seq(path)
        assert reached >= self.promises.durable
        kept = [one for one in self._appended if one.header.next_seq <= reached]
        keyring = Keyring(self.secrets)
        assert not self.promises.shredded.intersection(keyring.days())
        assert [_record(one) for one in Reader(path, to_end=True).frames()] == [
            _record(one) for one in kept if one.header.base_seq >= begin
        ]
        assert not self._whole or kept == self._appended
        state = replay(Reader(path, to_end=True, keys=keyring))
        from_snapshot, reader = snapshots.start(path, keyring, to_end=True)
        apply_all(from_snapshot, reader.frames())
        assert _same(from_snapshot, state)
        assert _same(state, replayed(kept))
        assert reached != self._last[0] or not reached or _digests(state) <= self._last[1]
        for fact, value in self.promises.facts.items():
            assert _holds(state, *fact) == value, fact
        verification = Verification(path, keyring)
        verification.noted_in = self.secrets
        findings = verification.findings(lambda _done, _total: None)
        found = [(one.path.name, one.what) for one in findings if one.damage]
        assert found == [], found
        self._appended, self._whole = kept, False
        return state

    # During a run.

    def _tee(self, log: EventLog) -> None:
        """Also collects the frames that are handed to the committer."""
        pool, take = log.pool, log.pool.take

        def teeing() -> list[OpenFrame]:
            taken = take()
            self._appended += [finished(one) for one in taken]
            return taken

        setattr(pool, "take", teeing)  # noqa: B010  # mypy forbids assigning to a method

    async def _serve(self, log: EventLog, noted: NotedLog, state: State, keyring: Keyring) -> None:
        began = trio.current_time()

        def passed_us() -> int:
            return round((trio.current_time() - began) * 1e6)

        start_us = self.wall_us
        clock = LogClock(
            max(state.time_us, log.recovery.last_time_us),
            lambda: self.wall_us + passed_us(),
            lambda: 7 * SECOND + passed_us(),
        )
        service = Service(log, state, clock, SELECTION_KEY)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(log.run)
                await nursery.start(noted.run, service.now_us)
                service.append(TrackerStarted("simulated", log.epoch))
                service.change_settings(self.settings)
                if state.hidden_peers():
                    service.append(AddressesLost())
                async with trio.open_nursery() as producers:
                    Clients(service, log, noted, self.disk, self.promises, self.chance).begin(
                        producers
                    )
                    producers.start_soon(tick, service)
                    producers.start_soon(log_counters, service)
                    producers.start_soon(self._disturb)
                    for work in self._upkeep(service, log, noted, keyring):
                        producers.start_soon(self._now_and_then, work)
                    await trio.sleep(self.chance.choice((0.01, 1, 10, 40)) * self.chance.random())
                    self._end_somehow()
                    producers.cancel_scope.cancel()
                if service.pending:
                    service.flush_counters()
                service.append(TrackerStopped("signal"))
                nursery.cancel_scope.cancel()
        finally:
            self.wall_us = start_us + passed_us() + (self.wall_us - start_us)

    def _upkeep(
        self, service: Service, log: EventLog, noted: NotedLog, keyring: Keyring
    ) -> list[Callable[[], Awaitable[object]]]:
        """What the schedules of a tracker do, a piece at a time."""
        pruner = InlinePruner(service, log, 36_500, KEEP_BYTES, self.secrets)
        shredder = Shredder(service, noted, keyring)

        async def prune() -> None:
            if await pruner.look() is not None:
                self.trace.append(("pruned", first_seq(log.path)))

        async def shred() -> None:
            await trio.to_thread.run_sync(keyring.prepare, day_of(service.now_us()) + 1)
            done = await shredder.shred((0, 1 << 20), BY)
            self.trace.append(("shredded", *done.shredded))
            self.promises.shredded.update(map(parse_day, done.shredded))

        async def snapshot() -> None:
            state, reader = snapshots.start(log.path, keyring)
            apply_all(state, reader.frames())
            if snapshots.write(log.path, state, keyring) is not None:
                self.trace.append(("snapshot", state.seq))

        return [prune, shred, snapshot, log.seal_finished]

    async def _now_and_then(self, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await trio.sleep(self.chance.expovariate(0.3))
            # Tried again later, as the schedules do.
            with suppress(PruningError, ports.LogUnavailableError, SecretError, LogError, OSError):
                await work()

    def _end_somehow(self) -> None:
        if self.chance.random() < 0.5:
            self.disk.dead = True
            raise PowerCut

    async def _disturb(self) -> None:
        """Fills and empties the disk, and sets the wall clock."""
        while True:
            await trio.sleep(self.chance.expovariate(0.2))
            self.disk.low = not self.disk.low
            self.wall_us += self.chance.choice((0, 0, 60, -60, 7200)) * SECOND

    def _record_end(self, log: EventLog, state: State) -> None:
        """Records the state at the end, and checks that a replay of all appended frames agrees."""
        log.pool.take()
        self._last = state.seq, _digests(state)
        assert _same(replayed(self._appended), state)
        self.promises.saw(log.durable_seq)


def _digests(state: State) -> set[str]:
    """The digest without addresses; and with them, where all can be read.

    Those of a removed part of the log cannot, nor those in a snapshot that were announced on a day
    whose key was made later.
    """
    found = {state.digest(addresses=False)}
    return found if state.hidden_peers() else {*found, state.digest()}


def _same(one: State, other: State) -> bool:
    ones, others = _digests(one), _digests(other)
    return ones <= others or others <= ones


def _record(one: Frame) -> Record:
    return one.header.base_seq, one.header.kind, bytes(one.plain)


_FACTS: dict[str, Callable[[State, Any], Any]] = {
    "listed": lambda state, info_hash: info_hash in state.access.whitelist,
    "key": lambda state, key_ref: state.access.hash_of(key_ref),
    "in force": lambda state, key_hash: key_hash in state.access.keys,
    "label": lambda state, key_ref: next(
        (key.label for key in state.access.keys.values() if key.key_ref == key_ref), None
    ),
}


def _holds(state: State, name: str, about: Any) -> Any:
    return _FACTS[name](state, about)
