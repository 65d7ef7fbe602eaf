"""Admin commands over a real log: events are durable before the answer, and no file holds a key."""

from __future__ import annotations

import errno
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from attrs import evolve, frozen

import eventlog.pool
from eventlog import EventLog, LogFailedError, Reader, open_log
from tests.eventlog.logs import Gate, places, running, segments
from tests.support import (
    SECOND,
    SELECTION_KEY,
    START_US,
    Announce,
    HandTime,
    Rig,
    announce,
    endpoint4,
    events_in,
    hash_of,
    own_keys,
)
from tracker import ports
from tracker.domain.events import codec
from tracker.domain.settings import Settings
from tracker.service.commands import ServiceCommands
from tracker.service.service import Service
from tracker.store import server_secret
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Ask = Callable[[ports.Commands], Awaitable[object]]

HASH = hash_of(1)
SECRET = b"s" * 32
KEY = ports.NewKey("Z" * 32)
TERMS = ports.FactorTerms(upload_percent=200)
CORRECTION = ports.Correction(1, 5, 0, 1)
BY = ports.Actor(token="ops", address="192.0.2.1", request_id="r-1", reason="because")
ONCE = evolve(BY, idempotency_key="once")
ONCE_MORE = evolve(BY, idempotency_key="once more")
ROOM = 253_402_300_800 - START_US // SECOND  # seconds to the end of the year 9999


@frozen
class Admin:
    """Commands with their log and state."""

    log: EventLog
    service: Service
    commands: ServiceCommands

    def events(self) -> list[dict[str, object]]:
        """Returns the events that a new reader finds in the log."""
        return events_in(Reader(self.log.path, to_end=True).frames())


@asynccontextmanager
async def administered(folder: Path) -> AsyncIterator[Admin]:
    log = open_log(folder, codec.RECORD_SIZES, own_keys(folder).tags)
    state = replay(Reader(folder, to_end=True))
    service = Service(log, state, HandTime().log_clock(state.time_us), SELECTION_KEY)
    async with running(log):
        yield Admin(log, service, ServiceCommands(service, log, SECRET))


COMMANDS: dict[str, Ask] = {
    "whitelist": lambda commands: commands.whitelist_add([HASH], BY),
    "delist": lambda commands: commands.whitelist_remove(hash_of(9), BY),
    "issue": lambda commands: commands.issue_key(ports.NewKey(seconds_valid=60), BY),
    "add": lambda commands: commands.issue_key(ports.NewKey("A" * 32), BY),
    "revoke": lambda commands: commands.revoke_key("Z" * 32, BY),
    "factor": lambda commands: commands.set_factor(ports.FactorTerms(upload_percent=200), BY),
    "correct": lambda commands: commands.correct(ports.Correction(1, 5, 0, 1), BY),
    "revoke by number": lambda commands: commands.revoke_key_ref(1, BY),
    "rotate": lambda commands: commands.rotate_key(1, BY),
    "label": lambda commands: commands.label_key(1, "x", BY),
    "import": lambda commands: commands.import_keys([ports.NewKey("I" * 32)], BY),
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_durable_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """No command is answered before its event is durable."""
    answered = trio.Event()
    async with administered(tmp_path) as admin, trio.open_nursery() as nursery:
        await admin.commands.whitelist_add([hash_of(9)], BY)
        await admin.commands.issue_key(ports.NewKey("Z" * 32), BY)
        gate = Gate(monkeypatch)

        async def ask() -> None:
            await COMMANDS[name](admin.commands)
            answered.set()

        nursery.start_soon(ask)
        await gate.entered()
        await trio.testing.wait_all_tasks_blocked()
        assert not answered.is_set()
        gate.open()
        await answered.wait()
        assert admin.log.durable_seq == admin.service.state.seq == 3


async def test_the_whitelist(tmp_path: Path) -> None:
    """A command that changes nothing appends nothing. Every event has the actor and the reason."""
    async with administered(tmp_path) as admin:
        for _ in range(2):
            await admin.commands.whitelist_add([HASH], BY)
        assert set(admin.service.state.access.listed_after(b"")) == {HASH}
        for _ in range(2):
            await admin.commands.whitelist_remove(HASH, ports.Actor("admin", "", "r-2"))
        events = admin.events()
    assert [event["type"] for event in events] == ["torrent_whitelisted", "torrent_delisted"]
    assert [event["info_hash"] for event in events] == [HASH.hex()] * 2
    assert [event["by"] for event in events] == [
        {"token": "ops", "address": "192.0.2.1", "request_id": "r-1", "reason": "because"},
        {"token": "admin", "address": "", "request_id": "r-2"},
    ]


async def test_delisting_in_listed_mode(tmp_path: Path) -> None:
    """The swarm of a delisted torrent is gone when the command is answered."""
    async with administered(tmp_path) as admin:
        admin.service.change_settings(Settings(listed=True))
        await admin.commands.whitelist_add([HASH], BY)
        announce(admin.service, Announce(HASH, endpoint4(1)))
        assert admin.service.scrape(HASH) == (0, 0, 1)
        await admin.commands.whitelist_remove(HASH, BY)
        assert admin.service.state.swarms.leechers_total == 0


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_keys_are_not_in_the_log(tmp_path: Path) -> None:
    """The log has a key as its hash only, and a replay still accepts the key."""
    async with administered(tmp_path) as admin:
        issued = await admin.commands.issue_key(ports.NewKey(seconds_valid=60), BY)
        permanent = await admin.commands.issue_key(ports.NewKey(), BY)
        added = await admin.commands.issue_key(ports.NewKey("A1" * 16), BY)
        await admin.commands.revoke_key(issued.key, BY)
        rotated = await admin.commands.rotate_key(3, BY)
        imported = ports.IssuedKey("I1" * 16, None, 5)
        assert await admin.commands.import_keys([ports.NewKey(imported.key)], BY) == [5]
        live = admin.service.state.digest()
    assert issued.valid_until_us == START_US + 60 * SECOND
    assert permanent.valid_until_us is None
    assert added == ports.IssuedKey("A1" * 16, None, 3)
    content = everything_in(tmp_path)
    for key in (issued.key, permanent.key, added.key, rotated.key, imported.key):
        assert key.encode() not in content
        assert server_secret.key_hash(key).hex().encode() in content
    state = replay(Reader(tmp_path))
    assert state.digest() == live
    assert set(state.access.keys) == {
        server_secret.key_hash(one.key) for one in (permanent, rotated, imported)
    }
    assert [key.key_ref for key in state.access.keys.values()] == [2, 4, 5]
    assert state.access.next_key_ref == 6


async def test_issued_keys_differ(tmp_path: Path) -> None:
    """A client that sends the same request id again gets another key; so does a number used
    before.
    """
    async with administered(tmp_path) as admin:
        first = await admin.commands.issue_key(ports.NewKey(), BY)
        second = await admin.commands.issue_key(ports.NewKey(), BY)
        await admin.commands.revoke_key(second.key, BY)
        third = await admin.commands.issue_key(ports.NewKey(), BY)
    assert len({first.key, second.key, third.key}) == 3


async def test_refused_key_commands(tmp_path: Path) -> None:
    """Commands on unknown, revoked or existing keys are refused, and nothing is appended."""
    async with administered(tmp_path) as admin:
        key = (await admin.commands.issue_key(ports.NewKey("K" * 32, 5), BY)).key
        with pytest.raises(ports.DuplicateKeyError):
            await admin.commands.issue_key(ports.NewKey(key), BY)
        with pytest.raises(ports.UnknownKeyError):
            await admin.commands.revoke_key("U" * 32, BY)
        await admin.commands.revoke_key(key, BY)
        with pytest.raises(ports.UnknownKeyError):
            await admin.commands.revoke_key(key, BY)
        await admin.commands.issue_key(ports.NewKey(key), BY)
        types = [event["type"] for event in admin.events()]
    assert types == ["key_issued", "key_revoked", "key_issued"]


async def test_issued_again(tmp_path: Path) -> None:
    """A revoked key that is issued again keeps its owner and account; a new owner gets another."""
    async with administered(tmp_path) as admin:
        for owner in (None, None, "anna", None, "bert", "bert"):
            issued = await admin.commands.issue_key(ports.NewKey("K" * 32, owner=owner), BY)
            await admin.commands.revoke_key_ref(issued.key_ref, BY)
        issued_events = [one for one in admin.events() if one["type"] == "key_issued"]
    owners = [one.get("owner") for one in issued_events]
    assert owners == [None, None, "anna", "anna", "bert", "bert"]
    assert [one["account"] for one in issued_events] == [1, 1, 3, 3, 5, 5]


@pytest.mark.parametrize(
    ("by", "secret", "same"),
    [
        (ONCE, SECRET, True),
        (evolve(ONCE, address="192.0.2.2", request_id="r-2", reason=""), SECRET, True),
        (evolve(ONCE, token="other"), SECRET, False),
        (evolve(ONCE, idempotency_key="twice"), SECRET, False),
        (BY, SECRET, False),
        (evolve(ONCE, token="other"), b"t" * 32, False),
    ],
    ids=["same", "elsewhere", "another token", "another key", "without", "another secret"],
)
async def test_repetitions(tmp_path: Path, by: ports.Actor, secret: bytes, same: bool) -> None:
    """The token label and the idempotency key identify a repeated request, from any address."""
    new = ports.NewKey(seconds_valid=60)
    async with administered(tmp_path) as admin:
        first = await admin.commands.issue_key(new, ONCE)
        other = ServiceCommands(admin.service, admin.log, secret)
        second = await other.issue_key(new, by)
        assert (first == second, admin.service.state.seq) == (same, 1 if same else 2)
        assert (first.key == second.key) == same


async def test_repetitions_that_are_refused(tmp_path: Path) -> None:
    """A repetition with another request, another server secret or a revoked key is refused, and
    nothing is appended.
    """
    new = ports.NewKey(label="x")
    async with administered(tmp_path) as admin:
        await admin.commands.issue_key(new, ONCE)
        for asked in (ports.NewKey(), evolve(new, key="K" * 32), evolve(new, owner="anna")):
            with pytest.raises(ports.RepeatedRequestError):
                await admin.commands.issue_key(asked, ONCE)
        with pytest.raises(ports.RepeatedRequestError):
            await admin.commands.rotate_key(1, ONCE)
        with pytest.raises(ports.RepeatedRequestError):
            await ServiceCommands(admin.service, admin.log, b"t" * 32).issue_key(new, ONCE)
        await admin.commands.revoke_key_ref(1, BY)
        with pytest.raises(ports.RevokedKeyError):
            await admin.commands.issue_key(new, ONCE)
        assert admin.service.state.seq == 2


async def test_a_repetition_after_the_key_was_issued_again(tmp_path: Path) -> None:
    """A repetition is refused when its key was revoked, even if the same key was issued again."""
    new = ports.NewKey("K" * 32)
    async with administered(tmp_path) as admin:
        await admin.commands.issue_key(new, ONCE)
        await admin.commands.revoke_key_ref(1, BY)
        assert (await admin.commands.issue_key(new, BY)).key_ref == 2
        with pytest.raises(ports.RevokedKeyError):
            await admin.commands.issue_key(new, ONCE)


MOVED = [ports.NewKey(f"{number:032}", seconds_valid=60, owner="anna") for number in range(4)]


async def test_repeated_imports(tmp_path: Path) -> None:
    """A repeated import gets the same numbers, whatever happened to the keys. Another request with
    the same idempotency key is refused.
    """
    async with administered(tmp_path) as admin:
        await admin.commands.issue_key(ports.NewKey(), BY)
        assert await admin.commands.import_keys(MOVED, ONCE) == [2, 3, 4, 5]
        await admin.commands.revoke_key_ref(3, BY)
        await admin.commands.issue_key(MOVED[1], evolve(ONCE, idempotency_key="twice"))
    async with administered(tmp_path) as admin:
        before = admin.service.state.seq
        assert await admin.commands.import_keys(MOVED, ONCE) == [2, 3, 4, 5]
        for other in (MOVED[:3], MOVED[::-1], [*MOVED[:3], evolve(MOVED[3], label="x")], MOVED[:1]):
            with pytest.raises(ports.RepeatedRequestError):
                await admin.commands.import_keys(other, ONCE)
        with pytest.raises(ports.RepeatedRequestError):
            await admin.commands.import_keys(MOVED, evolve(ONCE, idempotency_key="twice"))
        with pytest.raises(ports.RepeatedRequestError):
            await admin.commands.issue_key(MOVED[0], ONCE)
        for by in (BY, evolve(ONCE, token="other")):
            with pytest.raises(ports.DuplicateKeyError, match=r"keys\[0\]: exists already"):
                await admin.commands.import_keys(MOVED, by)
        assert admin.service.state.seq == before


@pytest.mark.parametrize("kept", range(len(MOVED) + 1))
async def test_an_import_that_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """A repetition completes an import that a crash cut off, with all missing keys or none. Later
    repetitions get the same answer.
    """
    monkeypatch.setattr(eventlog.pool, "FRAME_BYTES", 1)  # one for each key
    async with administered(tmp_path) as admin:
        await admin.commands.import_keys(MOVED, ONCE)
    (path,) = segments(tmp_path)
    data = path.read_bytes()
    ends = [0, *(place.end for place in places(data) if place.header.records)]
    path.write_bytes(data[: max(ends[kept], 128)])
    numbers = [*range(1, kept + 1), *range(kept + 2, len(MOVED) + 2)]
    async with administered(tmp_path) as admin:
        other = await admin.commands.issue_key(evolve(MOVED[-1], key="Z" * 32), BY)
        if 0 < kept < len(MOVED):
            taken = await admin.commands.issue_key(MOVED[-1], BY)
            with pytest.raises(ports.DuplicateKeyError, match=r"keys\[3\]: exists already"):
                await admin.commands.import_keys(MOVED, ONCE)
            await admin.commands.revoke_key_ref(taken.key_ref, BY)
            numbers = [one if one <= kept else one + 1 for one in numbers]
        assert other.key_ref == kept + 1
        assert await admin.commands.import_keys(MOVED, ONCE) == numbers
        assert await admin.commands.import_keys(MOVED, ONCE) == numbers
        end = admin.service.state.seq
    async with administered(tmp_path) as admin:
        assert await admin.commands.import_keys(MOVED, ONCE) == numbers
        with pytest.raises(ports.RepeatedRequestError):
            await admin.commands.import_keys(MOVED[: kept % 4 or 1], ONCE)
        assert admin.service.state.seq == end
        assert len(admin.service.state.access.keys) == len(MOVED) + 1


async def test_a_log_that_fills_up() -> None:
    """A full log takes all keys of an import or none."""
    rig = Rig()
    commands = ServiceCommands(rig.service, rig.log, SECRET)
    new = [ports.NewKey(f"{number:032}") for number in range(3)]
    rig.log.room = False
    with pytest.raises(ports.LogUnavailableError):
        await commands.import_keys(new, BY)
    assert rig.state.seq == 0
    await commands.whitelist_remove(HASH, BY)  # changes nothing, and needs no room
    rig.log.room = True
    assert await commands.import_keys(new, BY) == [1, 2, 3]


async def test_a_log_that_takes_nothing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that waits for space refuses new events at once. Commands under way are answered when
    there is space.
    """
    refused = ("whitelist", "issue", "factor", "rotate", "label", "import")
    pwrite = os.pwrite

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with administered(tmp_path) as admin, trio.open_nursery() as nursery:
        await admin.commands.issue_key(ports.NewKey("Z" * 32), BY)
        monkeypatch.setattr(os, "pwrite", full)
        nursery.start_soon(admin.commands.whitelist_add, [hash_of(9)], BY)
        while admin.log.has_room(reserved=True):
            await trio.testing.wait_all_tasks_blocked()
        before = admin.service.state.seq
        for name in refused:
            with pytest.raises(ports.LogUnavailableError), trio.fail_after(30):
                await COMMANDS[name](admin.commands)
        assert admin.log.durable_seq < before == admin.service.state.seq
        monkeypatch.setattr(os, "pwrite", pwrite)
    assert [event["type"] for event in admin.events()] == ["key_issued", "torrent_whitelisted"]


NOTHING: dict[str, tuple[Ask, object]] = {
    "listed": (lambda commands: commands.whitelist_add([HASH], BY), []),
    "not listed": (lambda commands: commands.whitelist_remove(hash_of(2), BY), False),
    "unknown key": (lambda commands: commands.revoke_key("U" * 32, BY), ports.UnknownKeyError),
    "unknown number": (lambda commands: commands.revoke_key_ref(9, BY), ports.UnknownKeyError),
    "revoked": (lambda commands: commands.revoke_key_ref(2, BY), ports.RevokedKeyError),
    "revoked key": (lambda commands: commands.revoke_key("R" * 32, BY), ports.UnknownKeyError),
    "rotate revoked": (lambda commands: commands.rotate_key(2, BY), ports.RevokedKeyError),
    "same label": (lambda commands: commands.label_key(1, None, BY), None),
    "exists": (lambda commands: commands.issue_key(KEY, BY), ports.DuplicateKeyError),
    "import": (lambda commands: commands.import_keys([KEY], BY), ports.DuplicateKeyError),
    "repeated": (
        lambda commands: commands.issue_key(KEY, ONCE),
        ports.IssuedKey("Z" * 32, None, 1),
    ),
    "same factor": (lambda commands: commands.set_factor(TERMS, BY), 1),
    "no factor": (lambda commands: commands.end_factor(7, BY), ports.UnknownFactorError),
    "over": (lambda commands: commands.end_factor(2, BY), ports.UnknownFactorError),
    "corrected": (lambda commands: commands.correct(CORRECTION, ONCE_MORE), 8),
}


async def outcome(ask: Ask, commands: ports.Commands) -> object:
    try:
        found = await ask(commands)
    except ports.CommandError as error:
        return type(error)
    return found.number if isinstance(found, ports.Factor) else found


async def test_commands_without_events_during_a_wait_for_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command without events is answered at once while the log waits for space, unless its answer
    rests on an event that waits.
    """
    pwrite = os.pwrite

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with administered(tmp_path) as admin, trio.open_nursery() as nursery:
        commands = admin.commands
        await commands.whitelist_add([HASH, hash_of(3)], BY)
        await commands.issue_key(KEY, ONCE)
        await commands.issue_key(ports.NewKey("R" * 32), BY)
        await commands.revoke_key_ref(2, BY)
        await commands.set_factor(TERMS, BY)
        await commands.set_factor(evolve(TERMS, upload_percent=300), BY)
        await commands.end_factor(2, BY)
        assert await commands.correct(CORRECTION, ONCE_MORE) == 8
        monkeypatch.setattr(os, "pwrite", full)
        nursery.start_soon(commands.whitelist_remove, hash_of(3), BY)
        while admin.log.has_room(reserved=True):
            await trio.testing.wait_all_tasks_blocked()
        for name, (ask, expected) in NOTHING.items():
            with trio.fail_after(30):
                assert await outcome(ask, commands) == expected, name
        waits = trio.Event()

        async def again() -> None:
            assert not await commands.whitelist_remove(hash_of(3), BY)
            waits.set()

        nursery.start_soon(again)
        await trio.testing.wait_all_tasks_blocked()
        assert not waits.is_set()
        monkeypatch.setattr(os, "pwrite", pwrite)
        await waits.wait()
    assert admin.service.state.seq == 10


async def test_durations(tmp_path: Path) -> None:
    """A key may last to the end of the year 9999, and no second longer."""
    async with administered(tmp_path) as admin:
        for seconds in (ROOM, ROOM + 1, 2**63, 2**64, 10**30):
            with pytest.raises(ports.InvalidDurationError):
                await admin.commands.issue_key(ports.NewKey(None, seconds), BY)
            with pytest.raises(ports.InvalidDurationError):
                await admin.commands.issue_key(ports.NewKey("D" * 32, seconds), BY)
        assert admin.service.state.seq == 0
        assert (
            await admin.commands.issue_key(ports.NewKey(seconds_valid=0), BY)
        ).valid_until_us == START_US
        longest = await admin.commands.issue_key(ports.NewKey(seconds_valid=ROOM - 1), BY)
        assert longest.valid_until_us == START_US + (ROOM - 1) * SECOND


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_log_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """After a failed write, that command and every later one report that the log is unavailable."""

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.RaisesGroup(LogFailedError, flatten_subgroups=True):
        async with administered(tmp_path) as admin:
            await admin.commands.whitelist_add([hash_of(9)], BY)
            await admin.commands.issue_key(ports.NewKey("Z" * 32), BY)
            monkeypatch.setattr(os, "pwrite", broken)
            with trio.CancelScope(shield=True):
                with pytest.raises(ports.LogUnavailableError):
                    await COMMANDS[name](admin.commands)
                before = admin.service.state.seq
                with pytest.raises(ports.LogUnavailableError):
                    await admin.commands.whitelist_add([hash_of(77)], BY)
                assert admin.service.state.seq == before
