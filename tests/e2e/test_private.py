"""Tests real clients on a private tracker: keys over HTTP and UDP, and accounts."""

from __future__ import annotations

import json
import random
from contextlib import closing
from typing import TYPE_CHECKING, Any

import libtorrent
import pytest

from eventlog import Reader
from tests.e2e.clients import api
from tests.e2e.process import Listeners, lasting_listeners
from tests.e2e.swarm import Client, Content, content, unused_host
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from libtorrent import settings_pack

    from tests.e2e.process import Event, Tracker
    from tracker.domain.accounts import Totals

SIZE = 3_000_000
SLOW = 100_000  # bytes a second, so that the transfer is under way when the tracker or a key goes
SEED, LEECH = 1, 2  # accounts of the first and the second key
MEMBERS = {SEED: "seed", LEECH: "leech"}


class Member(Client):
    """Runs a session that may listen on several addresses, and that the tracker may refuse."""

    def __init__(
        self, torrent: Content, folder: Path, download_limit: int = -1, hosts: tuple[str, ...] = ()
    ) -> None:
        """`hosts` are addresses to listen on; none means as `Client` does."""
        settings: settings_pack = {}
        if hosts:
            settings["listen_interfaces"] = ",".join(f"{host}:0" for host in hosts)
            settings["outgoing_interfaces"] = ""
        super().__init__(torrent, folder, download_limit, settings)

    def announce_and_fail(self) -> str:
        """Announces now; returns the reason that the client shows its user."""
        before = self._seen("tracker_error_alert")
        self._torrent.force_reannounce(0, -1, libtorrent.reannounce_flags_t.ignore_min_interval)
        self._wait(lambda: self._seen("tracker_error_alert") > before)
        return [one for one in self._alerts if one.startswith("tracker_error_alert: ")][-1]


def private(tracker: Tracker) -> list[str]:
    """Makes the tracker private, starts it, and issues a key for each member."""
    tracker.switch_on("private")
    tracker.start()
    return [api(tracker, "/api/v1/key/86400000", "POST")["key"] for _ in MEMBERS]


def shared_content(
    tracker: Tracker, keys: list[str], protocol: str, seed: int = 7
) -> list[Content]:
    """Returns the same torrent for each member, with the member's own announce URL."""
    ((host, port),) = getattr(tracker, protocol)
    data = random.Random(seed).randbytes(SIZE)
    return [content(data, f"{protocol}://{host}:{port}/announce/{key}") for key in keys]


def announced(events: list[Event]) -> list[Event]:
    return [one for one in events if one["type"] == "announced"]


def until_stopped(tracker: Tracker) -> list[Event]:
    """Returns every announce, once both members have left the swarm."""

    def both_left(events: list[Event]) -> bool:
        return {one["key_ref"] for one in events if one["event"] == "stopped"} == set(MEMBERS)

    return tracker.events_until(both_left, "--type", "announced")


def rebuilt_totals(tracker: Tracker) -> dict[int, Totals]:
    """Returns the members' totals from the log alone. The tracker has been stopped."""
    state = replay(Reader(tracker.folder / "log"))
    return {account: state.accounts.totals(account) for account in MEMBERS}


def check_ledger(tracker: Tracker, key_ref: int, totals: Totals) -> None:
    """Checks that `tracker ledger` lists announces that add up to an account's totals."""
    done = tracker.command("ledger", "--json", str(key_ref))
    assert (done.returncode, done.stderr) == (0, "")
    *lines, sums = map(json.loads, done.stdout.splitlines())
    entries = [one for one in lines if one["type"] == "announce"]
    assert sums["announces"] == len(entries)
    for way in ("uploaded", "downloaded"):
        assert sum(one[f"delta_{way}"] for one in entries) == sums[way] == getattr(totals, way)


def check_secrecy(tracker: Tracker, keys: list[str]) -> None:
    """Checks that no key is in the log or in the tracker's output."""
    written = b"".join(
        one.read_bytes()
        for one in (tracker.folder / "log").rglob("*")
        if one.is_file() and one.suffix != ".tmp"  # which the follower renames meanwhile
    )
    assert written
    assert tracker.lines is not None
    printed = "\n".join(tracker.lines.all())
    for key in keys:
        assert key.encode() not in written
        assert key not in printed


def peers(tracker: Tracker, info_hash: bytes) -> list[Any]:
    found = api(tracker, f"/api/v1/torrent/{info_hash.hex()}")
    return found["peers"] if isinstance(found, dict) else []


def check_accounts(tracker: Tracker, events: list[Event]) -> None:
    """Checks each account against the file's size and its client's own totals."""
    totals = rebuilt_totals(tracker)
    assert totals[LEECH].downloaded == SIZE
    assert totals[SEED].uploaded >= SIZE
    announces = {ref: [one for one in events if one["key_ref"] == ref] for ref in MEMBERS}
    for account in MEMBERS:
        # One session that began at zero: its total is the largest number that the client sent.
        assert totals[account].uploaded == max(one["uploaded"] for one in announces[account])
        assert totals[account].downloaded == max(one["downloaded"] for one in announces[account])
        assert totals[account].sessions == 1
        check_ledger(tracker, account, totals[account])
    assert (totals[SEED].snatched, totals[LEECH].snatched) == (0, 1)
    assert totals[SEED].downloaded == 0


@pytest.mark.parametrize("protocol", ["http", "udp"])
def test_transfer(new_tracker: Callable[..., Tracker], tmp_path: Path, protocol: str) -> None:
    """The file arrives, each account has its client's bytes, and no key is written anywhere."""
    tracker = new_tracker(Listeners(udp=(f"{unused_host()}:0",)))
    keys = private(tracker)
    ours, theirs = shared_content(tracker, keys, protocol)
    have, want = ours.put_into(tmp_path / "have"), tmp_path / "want"
    with closing(Member(ours, have)) as seed, closing(Member(theirs, want)) as leech:
        seed.wait_announced()
        leech.wait_complete()
        leech.wait_announced(2)
        assert ours.found_in(want)
        assert len(peers(tracker, ours.info_hash)) == 2
        leech.leave()
        seed.leave()
        events = until_stopped(tracker)
    assert {one["protocol"] for one in events} == {protocol}
    assert tracker.stop() == 0
    check_accounts(tracker, events)
    check_secrecy(tracker, keys)


@pytest.mark.parametrize("protocol", ["http", pytest.param("udp", marks=pytest.mark.clients)])
def test_several_addresses(
    new_tracker: Callable[..., Tracker], tmp_path: Path, protocol: str
) -> None:
    """A seed that announces from two addresses is one peer and is credited once."""
    tracker = new_tracker(Listeners(udp=(f"{unused_host()}:0",)))
    keys = private(tracker)
    ours, _ = shared_content(tracker, keys, protocol)
    # libtorrent keeps one connection id for a tracker, good for one of the seed's addresses only:
    # over UDP the leech could not use it, so the leech announces over HTTP.
    _, theirs = shared_content(tracker, keys, "http")
    have, want = ours.put_into(tmp_path / "have"), tmp_path / "want"
    hosts = ("127.0.0.1", "127.0.0.2")
    with closing(Member(ours, have, hosts=hosts)) as seed:
        tracker.events_until(
            lambda events: {one["address"] for one in events} == set(hosts), "--type", "announced"
        )
        assert len(peers(tracker, ours.info_hash)) == 1
        assert api(tracker, "/api/v1/stats")["seeders"] == 1
        with closing(Member(theirs, want)) as leech:
            leech.wait_complete()
            leech.wait_announced(2)
            assert ours.found_in(want)
            seed.reannounce()
            assert len(peers(tracker, ours.info_hash)) == 2
            leech.leave()
            seed.leave()
            events = until_stopped(tracker)
    assert len({one["peer_id"] for one in events if one["key_ref"] == SEED}) == 1
    assert tracker.stop() == 0
    # Announces after those stops changed nothing, because both addresses are one peer.
    check_accounts(tracker, announced(tracker.events()))


def test_a_key_revoked_in_mid_transfer(new_tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """A revoked key's peer is gone at once and refused from then on."""
    tracker = new_tracker()
    keys = private(tracker)
    ours, theirs = shared_content(tracker, keys, "http")
    have, want = ours.put_into(tmp_path / "have"), tmp_path / "want"
    with closing(Member(ours, have)) as seed, closing(Member(theirs, want, SLOW)) as leech:
        seed.wait_announced()
        leech.wait_announced()
        leech.wait_downloading()
        assert len(peers(tracker, ours.info_hash)) == 2
        api(tracker, f"/api/v1/key/{keys[1]}", "DELETE")
        (left,) = peers(tracker, ours.info_hash)
        assert left["peer_addr"] == f"127.0.0.1:{seed.port}"
        assert "Failed to read key" in leech.announce_and_fail()
        assert not leech.complete
        assert len(peers(tracker, ours.info_hash)) == 1
        seed.reannounce()
        api(tracker, f"/api/v1/key/{keys[0]}", "DELETE")
        assert peers(tracker, ours.info_hash) == []
        assert "Failed to read key" in seed.announce_and_fail()
    assert tracker.stop() == 0
    events = tracker.events()
    last = {one["key_ref"]: one["seq"] for one in announced(events)}
    revoked = {one["key_ref"]: one["seq"] for one in events if one["type"] == "key_revoked"}
    refused = {one["key_ref"]: one for one in events if one["type"] == "announce_refused"}
    assert set(last) == set(revoked) == set(refused) == set(MEMBERS)
    for member in MEMBERS:
        assert last[member] < revoked[member] < refused[member]["seq"]
        assert refused[member]["reason"] == "key_revoked"
    check_secrecy(tracker, keys)


@pytest.mark.faults  # because it waits for two clients to announce again
def test_restart_in_mid_transfer(new_tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """After a kill during a transfer the clients go on, and accounts have each byte once."""
    tracker = new_tracker(lasting_listeners())
    keys = private(tracker)
    ours, theirs = shared_content(tracker, keys, "http")
    have, want = ours.put_into(tmp_path / "have"), tmp_path / "want"
    with closing(Member(ours, have)) as seed, closing(Member(theirs, want, SLOW)) as leech:
        seed.wait_announced()
        leech.wait_announced()
        leech.wait_downloading()
        seed.reannounce()
        leech.reannounce()
        tracker.events_until(lambda events: len(events) >= 4, "--type", "announced")
        tracker.kill()
        assert not leech.complete
        tracker.restart()
        assert len(peers(tracker, ours.info_hash)) == 2
        leech.reannounce()
        leech.unlimit()
        leech.wait_complete()
        assert ours.found_in(want)
        # Including the answer to `completed`: a client that leaves before it sends no `stopped`.
        leech.wait_announced(4)
        leech.leave()
        seed.leave()
        events = until_stopped(tracker)
    assert tracker.stop() == 0
    assert [one["prev_seq"] for one in events].count(None) == len(MEMBERS)
    check_accounts(tracker, events)
    check_secrecy(tracker, keys)
