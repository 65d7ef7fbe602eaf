"""A removal keeps the state, the admin events and, in a snapshot, the addresses of peers."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import evolve

from eventlog import (
    EventLog,
    Reader,
    first_seq,
    kept_frames,
    open_log,
    read_kept_frames,
    segment,
)
from tests.eventlog.logs import running, segments
from tests.support import (
    SECOND,
    Announce,
    Rig,
    StillLog,
    endpoint4,
    endpoint6,
    events_in,
    hash_of,
    keys_of,
)
from tests.tracker.pruned import prune
from tests.tracker.upkeep.retention.logs import files, findings, live, script, script_and_prune
from tracker.cli import main
from tracker.domain.events import codec
from tracker.domain.events.admin import (
    ADMIN_EVENTS,
    AddressesShredded,
    ClockStepped,
    OldAnnounceRefused,
    ServerKeyChanged,
    TorrentWhitelisted,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.settings import Settings
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.offline.verify import Verification
from tracker.ports import Actor, EventFilter, LogPart, Moment, PrunedMomentError
from tracker.store import snapshots
from tracker.store.moments import ForwardReplay
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


NOT_KEPT = {
    "tracker_started", "tracker_stopped", "clock_stepped", "announce_refused", "addresses_lost", "log_pruned",
}  # fmt: skip
"""Admin events that no administrator asks for."""


def test_state_and_administrators_changes_stay(tmp_path: Path) -> None:
    """A removal keeps the state and what administrators did, and moments before its end are
    refused."""
    folder = tmp_path / "log"
    live(folder, script)
    whole = {each["seq"]: each for each in events_in(Reader(folder).frames())}

    async def prune_it(rig: Rig, log: EventLog) -> None:
        assert await prune(rig.service, log, 2000)

    digest = live(folder, prune_it)
    begin = first_seq(folder)
    assert begin > 30
    assert findings(folder) == ([], digest)
    assert sum(each.stat().st_size for each in segments(folder)) < 3000
    left = {each["seq"]: each for each in events_in(read_kept_frames(folder, begin))}
    names = {one.name for one in ADMIN_EVENTS.values()} - NOT_KEPT
    assert left == {s: e for s, e in whole.items() if e["type"] in names and s < begin}
    past = ForwardReplay(folder, lambda _done, _total: None)
    with pytest.raises(PrunedMomentError, match=f"begins with event {begin}:"):
        past.at(Moment(seq=begin - 1))
    assert past.at(Moment(seq=begin)).seq == begin + 1
    assert past.at(None).digest() == digest


def test_only_what_administrators_do_stays(tmp_path: Path) -> None:
    """What the tracker logs by itself goes with its segment, also where it was appended together
    with administrators' changes. Every kept event has its date."""
    folder = tmp_path / "log"
    by_command, by_schedule = (Actor(name, "", "") for name in ("shred", "shred_days"))

    async def mixed(rig: Rig, log: EventLog) -> None:
        for number in range(8):
            rig.time.wall -= 3600 * SECOND  # so that log time is ahead of the dates
            rig.service.append(TrackerStarted("test", log.epoch))
            rig.service.append(TorrentWhitelisted(hash_of(number)))
            rig.service.append(ClockStepped(5))
            rig.service.append(AddressesShredded(("2026-01-01",)), by_schedule)
            rig.service.append(AddressesShredded(("2026-01-02",)), by_command)
            rig.service.append(OldAnnounceRefused(2, "key_revoked", hash_of(1)))
            rig.service.append(ServerKeyChanged("00" * 16, "11" * 16))
            rig.service.append(TrackerStopped("signal"))
            await log.wait_durable(log.next_seq - 1)
        assert await prune(rig.service, log, 1500)

    live(folder, mixed)
    kept = events_in(read_kept_frames(folder, first_seq(folder)))
    each_time = ["torrent_whitelisted", "addresses_shredded", "server_key_changed"]
    assert len(kept) > len(each_time)
    assert [one["type"] for one in kept] == each_time * (len(kept) // 3)
    assert {tuple(one["days"]) for one in kept if "days" in one} == {("2026-01-02",)}
    assert all(one["time"] < one["log_time"] for one in kept)


def test_refusals_go_and_clients_stay(tmp_path: Path) -> None:
    """Refusals of known keys go with their segment, also those of earlier versions, which are admin
    events; the opening has the clients whose events went
    too, so that announces are named by the same numbers.
    """
    folder = tmp_path / "log"

    async def refuse(rig: Rig, log: EventLog) -> None:
        rig.service.change_settings(Settings(private=True))
        member, other = rig.issue(1), rig.issue(2)
        rig.revoke(other)
        one = Announce(hash_of(1), endpoint4(1), b"-qB4650-abcdefghijkl", key=member, agent=b"q/1")
        for number in range(20):
            rig.announce(evolve(one, uploaded=number), evolve(one, key=other))
            await log.wait_durable(log.next_seq - 1)
            rig.service.append(OldAnnounceRefused(2, "key_revoked", hash_of(1)))
            rig.time.advance(601 * SECOND)
            await log.wait_durable(log.next_seq - 1)
        there = [one["type"] for one in events_in(Reader(folder, to_end=True).frames())]
        assert (there.count("announce_refused"), there.count("client_named")) == (40, 1)
        assert await prune(rig.service, log, 1500)
        rig.announce(one)
        await log.wait_durable(log.next_seq - 1)

    digest = live(folder, refuse)
    assert findings(folder) == ([], digest)
    begin = first_seq(folder)
    kept = events_in(read_kept_frames(folder, begin))
    assert "key_revoked" in {one["type"] for one in kept}
    assert "announce_refused" not in {one["type"] for one in kept}
    left = events_in(Reader(folder).frames())
    assert {one["type"] for one in left} == {"log_pruned", "announced"}
    assert left[-1]["client"] == 1
    assert replay(Reader(folder)).clients.pairs == [(b"-qB4650-", b"q/1")]


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_the_api_reads_kept_events(tmp_path: Path, limit: int) -> None:
    """Pages of any size have the admin events of all times and the events that are left, as
    `tracker events` has.
    """
    folder = tmp_path / "log"
    live(folder, script_and_prune)
    begin = first_seq(folder)
    expected = events_in(read_kept_frames(folder, begin)) + events_in(Reader(folder).frames())
    assert expected[0]["seq"] < begin
    state = replay(Reader(folder))
    worker = EventsWorker(folder, None)
    log_events = LogEvents(
        StillLog(folder, state.seq), state.access.account_of, trio.Event(), worker=worker
    )

    async def read(first: int, wanted: EventFilter) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        following: int | None = first
        while following is not None:
            page = await log_events.read(LogPart(first=following), wanted, limit)
            found += page.events
            following = page.following
        return found

    for first in (0, 3, begin - 1, begin, begin + 2):
        found = trio.run(read, first, EventFilter())
        assert found == [each for each in expected if each["seq"] >= first]
    found = trio.run(read, 0, EventFilter(types=frozenset(["torrent_whitelisted"])))
    assert found == [each for each in expected if each["type"] == "torrent_whitelisted"]


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_listed_peers_hold_nothing_back(tmp_path: Path, private: bool) -> None:
    """The last announces of listed peers go too, because a snapshot has the addresses of the peers.

    One peer has two addresses in private mode. A snapshot still has them after further removals.
    """
    folder, keys = tmp_path / "log", keys_of(tmp_path / "secrets")
    log = open_log(
        folder, codec.RECORD_SIZES, keys.tags, segment_bytes=400, linger_seconds=0, encryptor=keys
    )
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log

    async def busy() -> None:
        async with running(log):
            rig.service.change_settings(Settings(private=private))
            one = Announce(hash_of(1), endpoint4(1), key=rig.issue(1) if private else None)
            rig.announce(one, evolve(one, endpoint=endpoint6(1)))
            for _ in range(3):
                for number in range(30):
                    rig.announce(evolve(one, info_hash=hash_of(2), uploaded=number))
                    await log.wait_durable(log.next_seq - 1)
                assert (made := await prune(rig.service, log, keys=keys))
                assert made.first_seq > log.next_seq - 10
                assert made.no_snapshot == ""
                started, reader = snapshots.start(folder, keys, to_end=True)
                assert started.seq > made.first_seq
                assert replay(reader, state=started).digest() == rig.state.digest()

    trio.run(busy)
    assert rig.state.swarms.leechers_total == (2 if private else 3)
    assert list(Verification(folder, keys).findings(lambda _done, _total: None)) == []
    opened = replay(Reader(folder, keys=keys))
    assert opened.hidden_peers()
    assert opened.digest(addresses=False) == rig.state.digest(addresses=False)


def test_bases_hold_nothing_back(tmp_path: Path) -> None:
    """The announces of swept peers go too, and the peers go on from their bases as before: live,
    from a snapshot, and from the opening with the keys and without.
    """
    folder, keys = tmp_path / "log", keys_of(tmp_path / "secrets")
    log = open_log(
        folder, codec.RECORD_SIZES, keys.tags, segment_bytes=400, linger_seconds=0, encryptor=keys
    )
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log

    def same() -> None:
        started, reader = snapshots.start(folder, keys, to_end=True)
        assert replay(reader, state=started).digest() == rig.state.digest()
        for readable in keys, None:
            opened = replay(Reader(folder, to_end=True, keys=readable))
            assert opened.digest(addresses=False) == rig.state.digest(addresses=False)

    async def busy() -> None:
        async with running(log):
            settings = Settings(private=True, accounting=2, inactive_peer_cleanup_interval=10)
            rig.service.change_settings(settings)
            one = Announce(hash_of(1), endpoint4(1), b"-XX0001-000000000001", 100, key=rig.issue(1))
            two = evolve(one, endpoint=endpoint4(2), peer_id=b"-XX0001-000000000002")
            rig.announce(one, two, evolve(one, info_hash=hash_of(3)))
            rig.time.advance(2 * settings.max_peer_timeout * SECOND)
            rig.service.tick()
            rig.service.tick()
            for left, again in (
                (3, evolve(one, uploaded=150)),
                (2, evolve(two, uploaded=170, event=3)),
            ):
                for number in range(30):
                    rig.announce(evolve(one, info_hash=hash_of(2), uploaded=number))
                    await log.wait_durable(log.next_seq - 1)
                assert (made := await prune(rig.service, log, keys=keys))
                bases = list(map(rig.state.bases.base, rig.state.bases.numbers()))
                assert len(bases) == left
                assert max(base.seq for base in bases) < made.first_seq
                same()
                rig.announce(again)
                await log.wait_durable(log.next_seq - 1)
                same()

    trio.run(busy)
    assert rig.state.bases.count == 1
    assert rig.totals(1).uploaded == 29 + 29 + 50 + 70
    assert list(Verification(folder, keys).findings(lambda _done, _total: None)) == []


def test_on_a_disk_that_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A removal works on a disk that is too full for a snapshot, and says that there is none."""
    folder = tmp_path / "log"
    live(folder, script)
    space = os.statvfs(tmp_path)
    nearly = SimpleNamespace(f_bavail=(9 << 20) // space.f_frsize, f_frsize=space.f_frsize)
    monkeypatch.setattr(os, "statvfs", lambda _path: nearly)

    async def prune_it(rig: Rig, log: EventLog) -> None:
        with pytest.raises(OSError, match="too little free space"):
            snapshots.write(folder, rig.state, None)
        made = await prune(rig.service, log)
        assert made
        assert "too little free space" in made.no_snapshot
        assert "all swarms begin empty" in caplog.text

    live(folder, prune_it)


def test_a_segment_without_a_frame(tmp_path: Path) -> None:
    """An empty segment that a crash left does not stop a removal."""
    folder = tmp_path / "log"
    for _ in range(2):
        live(folder, script)
        newest = segments(folder)[-1]
        with newest.open("r+b") as file:
            file.truncate(128)  # a crash right after its creation

    async def prune_it(rig: Rig, log: EventLog) -> None:
        made = await prune(rig.service, log)
        assert made
        assert made.first_seq > segment.base_seq_of(newest)

    digest = live(folder, lambda rig, log: beyond(rig, log, prune_it))
    assert findings(folder) == ([], digest)


async def beyond(rig: Rig, log: EventLog, do: Callable[[Rig, EventLog], Awaitable[object]]) -> None:
    """Adds some segments, then runs `do`."""
    await script(rig, log)
    await do(rig, log)


def test_concurrent_seals(tmp_path: Path) -> None:
    """The log's own task, retention and removal may seal at the same moment."""
    folder = tmp_path / "log"
    live(folder, script)

    async def at_once(_rig: Rig, log: EventLog) -> None:
        for _ in range(5):
            for seal in (folder / "seal").glob("*"):
                seal.unlink()
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(log.seal_finished)
            assert len(list((folder / "seal").glob("*.json"))) == len(segments(folder)) - 1

    live(folder, at_once)


def test_no_address_is_left(tmp_path: Path) -> None:
    """Opening and kept events hold no address and no end of a peer id, as text or packed, even from
    frames in clear.
    """
    peers = [
        Announce(hash_of(7), endpoint(number), b"-XX0001.secret%06d" % number)
        for number in range(40, 60)
        for endpoint in (endpoint4, endpoint6)
    ]

    async def announced(rig: Rig, log: EventLog) -> None:
        rig.service.change_settings(Settings(inactive_peer_cleanup_interval=10))
        for number, one in enumerate(peers * 2):
            rig.announce(evolve(one, uploaded=number))
            await log.wait_durable(log.next_seq - 1)
        assert await prune(rig.service, log)

    folder = tmp_path / "log"
    live(folder, announced)
    assert findings(folder)[0] == []
    data = b"".join(
        each.read_bytes()
        for kind in ("opening", "kept", "seal")
        for each in folder.glob(f"{kind}/*")
    )
    assert hash_of(7) in data
    for one in peers:
        address = one.endpoint[:-2]
        assert address not in data
        assert one.peer_id[8:] not in data
        assert ".".join(map(str, address)).encode() not in data


def test_many_removals(tmp_path: Path) -> None:
    """The number of files does not grow with the number of removals."""

    async def again(rig: Rig, log: EventLog) -> None:
        for number in range(20):
            for more in range(3):
                rig.service.append(TorrentWhitelisted(hash_of(3 * number + more)))
                await log.wait_durable(log.next_seq - 1)
            await prune(rig.service, log)
            assert len(kept_frames.list_kept(log.path)) <= kept_frames.MOST_FILES
            assert len(files(log.path)) < kept_frames.MOST_FILES + 12

    digest = live(tmp_path / "log", again)
    assert findings(tmp_path / "log") == ([], digest)
    listed = [
        e
        for e in events_in(read_kept_frames(tmp_path / "log", first_seq(tmp_path / "log")))
        if e["type"] == "torrent_whitelisted"
    ]
    assert len(listed) > 50


def test_the_ledger_begins_with_a_balance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ledger has the old corrections with their reasons, then the opening balance; its sums are
    those of the account.
    """
    folder = tmp_path / "log"

    async def corrected(rig: Rig, log: EventLog) -> None:
        rig.service.change_settings(
            Settings(private=True, max_peer_timeout=60, inactive_peer_cleanup_interval=10)
        )
        one = Announce(hash_of(1), endpoint4(1), key=rig.issue(1, owner="anna"))
        for number in range(20):
            rig.announce(evolve(one, uploaded=10 * number))
            await log.wait_durable(log.next_seq - 1)
        rig.correct(1, -190, 7, rig.state.seq - 1)
        rig.time.advance(100 * SECOND)
        rig.service.tick()
        for number in range(4):
            rig.service.append(TorrentWhitelisted(hash_of(number)))
            await log.wait_durable(log.next_seq - 1)
        assert await prune(rig.service, log)
        rig.announce(evolve(one, uploaded=500), evolve(one, uploaded=503))

    live(folder, corrected)
    assert main(["ledger", "--json", "--log", str(folder), "anna"]) == 4  # without the secrets
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines.pop()["type"] == "note"
    assert [line["type"] for line in lines] == [
        "correction", "opening", "announce", "announce", "torrent", "torrent", "account",
    ]  # fmt: skip
    assert (lines[0]["credited_uploaded"], lines[0]["reason"]) == (-190, "a test")
    assert (lines[1]["uploaded"], lines[1]["credited_uploaded"]) == (190, 190)
    assert (lines[1]["seq"], lines[1]["sessions"]) == (first_seq(folder), 1)
    account = lines[-1]
    assert (account["uploaded"], account["credited_uploaded"]) == (193, 3)
    assert (account["credited_downloaded"], account["sessions"]) == (7, 2)
    assert main(["ledger", "--log", str(folder), "anna"]) == 4
    assert "\topening\t" in capsys.readouterr().out
