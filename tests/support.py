"""Gives tests a log in memory, clocks that they move, and a tracker without sockets."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import define, evolve, field, frozen
from hypothesis import given, settings

from eventlog import NO_CHAIN, Frame, OpenFrame, Pool
from eventlog.frame import build_header, parse_header
from tracker.domain import choice, events
from tracker.domain.events import codec
from tracker.domain.events.admin import (
    CreditCorrected,
    CreditFactorSet,
    KeyIssued,
    KeyRevoked,
    KeyRotated,
)
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.history import event_json
from tracker.ledger.account import Ledger
from tracker.ports import Actor
from tracker.service.clock import LogClock
from tracker.service.service import Service
from tracker.store import server_secret
from tracker.store.address_keys import Keyring
from tracker.store.moments import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from hypothesis import strategies as st

    from tracker.domain.accounts import Totals
    from tracker.domain.directory import Directory
    from tracker.ledger.sums import Entry

START_US = 1_800_000_000_000_000  # a moment in 2027
SECOND = 1_000_000
SELECTION_KEY = b"s" * 32

steady = settings(deadline=None, derandomize=True, database=None)
"""Settings of property tests: the same examples in every run, at any speed of the machine."""


def few_or_many(few: int, many: int) -> pytest.MarkDecorator:
    """Gives a test the argument `count`: a few examples, and many in `scripts/test --faults`."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.faults)])


def try_examples(
    count: int, check: Callable[..., None], **strategies: st.SearchStrategy[Any]
) -> None:
    """Calls `check` with so many examples of these strategies, and prints the one that fails."""
    settings(steady, max_examples=count)(given(**strategies)(check))()


class MemoryLog:
    """Implements `tracker.service.service.Log` in memory, where events are durable at once."""

    def __init__(self) -> None:
        self.pool = Pool(codec.RECORD_SIZES, 0)
        self.room = True
        self._taken: list[OpenFrame] = []

    def has_room(self, *, reserved: bool = False) -> bool:  # noqa: ARG002  # the protocol's name
        return self.room

    def appended(self) -> None:
        pass

    async def wait_durable(self, seq: int) -> None:
        await trio.lowlevel.checkpoint()
        assert seq < self.pool.next_seq

    def cut(self) -> list[OpenFrame]:
        """Lets later events go into new frames. Returns all frames so far."""
        self._taken += self.pool.take()
        return self._taken

    def frames(self) -> list[Frame]:
        """Returns all frames so far, and lets later events go into new frames."""
        return [finished(one) for one in self.cut()]

    def crash(self) -> State:
        """Loses all events since the last `cut`. Returns the state that the others give."""
        state = replayed(map(finished, self._taken))
        self.pool = Pool(codec.RECORD_SIZES, state.seq)
        return state


@frozen
class StillLog:
    """Implements `tracker.store.readable_log.ReadableLog` over a folder that no tracker writes."""

    path: Path
    durable_seq: int = 0

    async def wait_readable_briefly(self, seq: int) -> None:
        del seq


def keys_of(secrets: Path) -> Keyring:
    """Returns the keys of a site; makes its server's secret on first use."""
    server_secret.load_or_create(secrets)
    return Keyring(secrets)


def own_keys(log: Path) -> Keyring:
    """Returns the keys of a log whose secrets lie in its own folder, as no tracker has them."""
    return keys_of(log / "secrets")


def finished(one: OpenFrame) -> Frame:
    """Returns a frame under construction as a reader returns it."""
    packed, _ = build_header(
        one.kind,
        one.schema,
        one.count,
        one.plain,
        one.protected,
        epoch=1,
        base_seq=one.base_seq,
        durable_seq=0,
        time_us=one.time_us,
        boottime_ns=0,
        previous=NO_CHAIN,
        seed=NO_CHAIN,
        sign=lambda *_: NO_CHAIN,
        lead_us=one.lead_us,
    )
    return Frame(
        parse_header(packed), memoryview(bytes(one.plain)), memoryview(bytes(one.protected))
    )


def replayed(frames: Iterable[Frame], *, by_number: bool = True) -> State:
    """Returns the state that these frames give, as a start rebuilds it.

    Without `by_number` it looks every peer up, as `tracker verify` does.
    """
    state = State()
    if by_number:
        state.recent.start(state.swarms)
    for frame in frames:
        state.apply(
            frame.header.kind,
            frame.header.schema,
            frame.header.base_seq,
            frame.plain,
            frame.protected,
        )
    state.recent.stop()
    return state


def events_in(frames: Iterable[Frame]) -> list[dict[str, Any]]:
    """Returns the events of these frames as `tracker events` prints them."""
    return [event for frame in frames for event in event_json.narrate(frame)]


def ledger_of(
    account: int, frames: Sequence[Frame], begin: Callable[[Ledger], object] = lambda _: None
) -> tuple[Ledger, list[Entry]]:
    """Returns a ledger that has read these frames, and its entries. `begin`: opens a ledger."""

    def reread(ledger: Ledger, end: int) -> None:
        begin(ledger)
        before = [one for one in frames if one.header.base_seq < end]
        entries[ledger] = list(ledger.entries(split(one, end)[0] or one for one in before))

    entries: dict[Ledger, list[Entry]] = {}
    ledger = Ledger(account, reread=reread)
    reread(ledger, frames[-1].header.next_seq if frames else 0)
    return ledger, entries[ledger]


def undated(totals: Totals) -> Totals:
    """Returns totals without their two times, which are dates in a ledger, else log times."""
    return totals._replace(first_us=0, last_us=0)


@define
class HandTime:
    """Replaces the wall clock and the monotonic clock, in microseconds, with numbers."""

    wall: int = START_US
    monotonic: int = 5_000_000

    def advance(self, us: int) -> None:
        self.wall += us
        self.monotonic += us

    def log_clock(self, last_us: int = 0) -> LogClock:
        return LogClock(last_us, lambda: self.wall, lambda: self.monotonic)


@frozen
class Announce:
    """Holds the arguments of `Service.announce`, with usual values."""

    info_hash: bytes
    endpoint: bytes
    peer_id: bytes = b"-XX0001.abcdefghijkl"  # names no client, because that would be an event
    uploaded: int = 0
    downloaded: int = 0
    left: int = 1000
    event: int = events.NONE
    udp: bool = True
    numwant: int = 50
    flags: int = 0
    key_hash: int = 7
    listener: int = 0
    agent: bytes = b""
    # the text of a tracker key; b"" = an announce without a key; None = the test looks up no key
    key: bytes | None = None

    @property
    def path(self) -> int:
        v6 = len(self.endpoint) == 18
        if self.udp:
            return events.UDP6 if v6 else events.UDP4
        return events.HTTP6 if v6 else events.HTTP4


@define
class Rig:
    """Runs a service over a log in memory, on clocks that the test moves."""

    log: MemoryLog = field(factory=MemoryLog)
    time: HandTime = field(factory=HandTime)
    state: State = field(factory=State)
    service: Service = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.service = Service(self.log, self.state, self.time.log_clock(), SELECTION_KEY)

    @classmethod
    def with_settings(cls, **changed: Any) -> Rig:
        rig = cls()
        rig.service.change_settings(Settings(**changed))
        return rig

    def announce(self, *announces: Announce) -> list[int]:
        """Makes one batch of announces; returns what the service returned for each."""
        return announce(self.service, *announces)

    def issue(
        self, number: int, owner: str | None = None, valid_until_us: int | None = None
    ) -> bytes:
        """Issues key `number`; returns its text."""
        issue(self.service, key_text(number), owner, valid_until_us)
        return key_text(number)

    def revoke(self, text: bytes) -> None:
        revoke(self.service, text)

    def rotate(self, old: bytes, new: bytes) -> None:
        rotate(self.service, old, new)

    def set_factor(self, **changed: Any) -> int:
        """Sets a credit factor, in force at once unless changed; returns its number."""
        number = self.state.factors.next_number
        now = self.service.now_us()
        event = CreditFactorSet(number, "any", now, None, "test")
        self.service.append(evolve(event, **changed))
        return number

    def correct(self, account: int, uploaded: int, downloaded: int, corrects: int) -> int:
        """Corrects an account's credited totals; returns the event's seq."""
        event = CreditCorrected(account, uploaded, downloaded, corrects)
        return self.service.append(event, Actor("ops", "", "", "a test"))

    def totals(self, account: int) -> Totals:
        return self.state.totals(account)

    def events(self) -> list[dict[str, Any]]:
        return events_in(self.log.frames())

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]


def announce(service: Service, *announces: Announce) -> list[int]:
    """Makes one batch of announces; returns what the service returned for each.

    In private modes it looks the key up first, as a front end does.
    """
    service.begin()
    returned = [announce_one(service, one) for one in announces]
    service.end()
    return returned


def announce_one(service: Service, one: Announce) -> int:
    """Makes one announce between `begin` and `end`."""
    key = None
    if service.private and one.key is not None:
        key = service.authenticate(one.key or None)
        if isinstance(key, int):
            if one.key:
                service.refused_key(one.key, key, one.info_hash)
            return key
    return service.announce(
        one.listener, one.path, one.endpoint[:-2], one.endpoint[-2:], one.info_hash,
        one.peer_id, one.uploaded, one.downloaded, one.left, one.event,
        one.numwant, one.flags, one.key_hash, key, one.agent,
    )  # fmt: skip


def key_text(number: int) -> bytes:
    """Returns the text of tracker key `number`."""
    return b"key%029d" % number


def key_hash(text: bytes) -> str:
    """Returns the SHA-256 by which the log names a key, in hexadecimal."""
    return sha256(text).hexdigest()


def issue(
    service: Service, text: bytes, owner: str | None = None, valid_until_us: int | None = None
) -> None:
    access = service.state.access
    account = access.account_for(owner)
    hashed = bytes.fromhex(key_hash(text))
    service.append(KeyIssued(hashed, access.next_key_ref, account, valid_until_us, owner))


def revoke(service: Service, text: bytes) -> None:
    hashed = bytes.fromhex(key_hash(text))
    service.append(KeyRevoked(hashed, service.state.access.keys[hashed].key_ref))


def rotate(service: Service, old: bytes, new: bytes) -> None:
    """Gives the holder of a key another key. The account stays."""
    access = service.state.access
    old_hash = bytes.fromhex(key_hash(old))
    key = access.keys[old_hash]
    event = KeyRotated(
        bytes.fromhex(key_hash(new)),
        access.next_key_ref,
        key.account,
        key.valid_until_us,
        key.owner,
        old_key_hash=old_hash,
        old_key_ref=key.key_ref,
    )
    service.append(event)


def append_json(service: Service, number: int, data: dict[str, Any]) -> int:
    """Appends and applies an admin event with these members, as another version may write it."""
    now = service.now_us()
    plain = codec.encode_admin(number, now, data)
    seq = service._log.pool.append(events.ADMIN, 1, now, plain)
    service.state.apply_admin(codec.from_data(number, data), now)
    return seq


def pick(
    directory: Directory, torrent: int, want: int, peer: int, seeder: bool, seq: int
) -> list[bytes]:
    """Returns the endpoints that a directory answers announce `seq` with."""
    found = directory.pick(b"", torrent, want, peer, seeder, choice.halves(SELECTION_KEY), seq)
    assert len(found) % directory.width == 0
    return [bytes(found[at : at + directory.width]) for at in range(0, len(found), directory.width)]


def endpoint4(number: int, port: int = 6881) -> bytes:
    """Returns an IPv4 endpoint: six bytes."""
    return bytes([127, 0, number >> 8, number & 0xFF]) + port.to_bytes(2, "big")


def endpoint6(number: int, port: int = 6881) -> bytes:
    """Returns an IPv6 endpoint: eighteen bytes."""
    return bytes.fromhex("20010db8") + number.to_bytes(12, "big") + port.to_bytes(2, "big")


def hash_of(number: int) -> bytes:
    """Returns an info hash. Numbers that differ by a multiple of 256 share a bucket."""
    return bytes([number & 0xFF]) + number.to_bytes(19, "big")
