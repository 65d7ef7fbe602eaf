"""Shredding: the addresses of a day are gone for good, and the counts stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from eventlog import EventLog, Reader, open_log
from eventlog.files import destroy_file
from tests.days import SETTINGS, TORRENT, V4, V6, Site, address_of, endpoints
from tests.eventlog.logs import places, running, segments
from tests.support import (
    SECOND,
    Announce,
    Rig,
    announce,
    endpoint4,
    endpoint6,
    events_in,
    hash_of,
    keys_of,
)
from tracker import ports
from tracker.domain import events
from tracker.domain.events import DAY_US, codec
from tracker.domain.events.admin import AddressesLost, AddressesShredded
from tracker.history.state_diff import differences
from tracker.history.state_summary import members, picture
from tracker.ledger.account import Ledger
from tracker.service.members import as_json
from tracker.store.replay import replay
from tracker.upkeep.shredding import Shredder, Shredding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tracker.domain.state import State

BY = ports.Actor("admin", "192.0.2.1", "request-1", "asked to")
ALL = (0, 1 << 20)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def with_shredder(site: Site, do: Callable[[Shredder], Awaitable[object]]) -> State:
    """Runs a shredder on the site's log; returns the state at the end."""
    keyring = keys_of(site.secrets)
    log = open_log(site.log, codec.RECORD_SIZES, keyring.tags, encryptor=keyring)
    state = replay(Reader(site.log, to_end=True, keys=keyring))

    async def main() -> None:
        async with running(log):
            service = site.service(log, state)
            service.change_settings(SETTINGS)
            await do(Shredder(service, log, keyring))

    trio.run(main)
    return state


def shred(site: Site, days: tuple[int, int] | None, shred_days: int = 0) -> Shredding:
    done: list[Shredding] = []

    async def do(shredder: Shredder) -> None:
        shredder.shred_days = shred_days
        done.append(await shredder.shred(days, BY))

    with_shredder(site, do)
    return done[0]


def announced(site: Site, **options: Any) -> list[dict[str, Any]]:
    events_told = events_in(Reader(site.log, to_end=True, **options).frames())
    return [event for event in events_told if event["type"] == "announced"]


def test_the_search_would_find_them(site: Site) -> None:
    """The search finds every known address in a log in clear; the other tests rest on it."""
    site.live(2, encrypted=False)
    found = site.traces()
    assert len(found) == len(set(found)) == 2 * (V4 + V6)


def test_a_swarm_without_its_keys(site: Site) -> None:
    """The members of a swarm have no address and half a peer_id, and two moments can still be
    compared.
    """
    site.live(1, leave=False)
    known = members(site.replayed(), TORRENT)
    assert {len(one.peer_id) for one in known} == {20}
    assert all(one.addresses for one in known)
    state = site.replayed(keys=False)
    found = members(state, TORRENT)
    assert [(one.addresses, one.peer_id) for one in found] == [
        ((), one.peer_id[:8]) for one in known
    ]
    assert [one.last_seq for one in found] == [one.last_seq for one in known]
    shown = as_json(found[0])
    assert (shown["addresses"], shown["peer_id"]) == ((), known[0].peer_id[:8].hex())
    assert "identity" not in shown
    after = picture(state, TORRENT)
    before = after._replace(members=found[1:])
    changes = list(differences(before, after))
    assert [(one["type"], one["last_seq"]) for one in changes] == [
        ("peer_joined", found[0].last_seq)
    ]


def test_shredded_addresses_cannot_be_read(site: Site) -> None:
    """The folder holds no address. No reader shows one of a shredded day, and the counts are
    unchanged.
    """
    live = site.live(10)
    tear_the_end(site)
    live = site.live(1)
    assert list((site.log / "quarantine").iterdir())
    done = shred(site, (0, site.first_day + 6))
    assert done.shredded == [site.day(number) for number in range(7)]
    assert done.kept == []
    assert site.traces() == []
    keys = keys_of(site.secrets)
    shown = announced(site, keys=keys)
    expected = [
        address_of(each) for day in range(10) for each in 2 * endpoints(site.first_day + day)
    ]
    shredded = len(endpoints(0)) * 2 * 7
    assert [event["address"] for event in shown[:shredded]] == [None] * shredded
    assert [event["address"] for event in shown[shredded:]][: len(expected) - shredded] == expected[
        shredded:
    ]
    assert {event["port"] for event in shown[:shredded]} == {None}
    assert {event["client_key_hash"] for event in shown[:shredded]} == {None}
    assert {event["peer_id"] for event in shown[:shredded]} == {b"-XX0001.".hex()}
    for rebuilt in (site.replayed(), site.replayed(keys=False)):
        assert not rebuilt.hidden_peers()
        assert rebuilt.swarms.counts(TORRENT) == live.swarms.counts(TORRENT)
        assert rebuilt.swarms.announces == live.swarms.announces
    assert site.replayed().digest() == site.replayed(keys=False).digest()


def tear_the_end(site: Site) -> None:
    """Leaves half a frame after whole announces, as a crash does."""
    newest = segments(site.log)[-1]
    data = newest.read_bytes()
    last = [each for each in places(data) if each.header.kind == events.ANNOUNCE][-1]
    newest.write_bytes(data[: last.end] + data[last.offset : last.end - 16])


def test_the_event_names_actor_and_days(site: Site) -> None:
    """The event has the actor and the days. A second run finds nothing to do and logs nothing."""
    site.live(5)
    shred(site, (site.first_day + 1, site.first_day + 1))
    assert shred(site, ALL).shredded == [site.day(0), site.day(2)]
    assert shred(site, (site.first_day, site.first_day + 2)).shredded == []
    events_told = events_in(Reader(site.log, to_end=True).frames())
    logged = [event for event in events_told if event["type"] == "addresses_shredded"]
    assert [event["days"] for event in logged] == [[site.day(1)], [site.day(0), site.day(2)]]
    assert logged[0]["by"] == {
        "token": "admin",
        "address": "192.0.2.1",
        "request_id": "request-1",
        "reason": "asked to",
    }


def test_needed_keys_stay(site: Site) -> None:
    """The keys of today, of yesterday, and of the last day of each present peer stay."""
    site.live(4)
    site.live(1, leave=False)
    site.time.advance(3 * DAY_US)
    done = shred(site, ALL)
    assert done.shredded == [site.day(0), site.day(1)]
    assert done.kept == [site.day(2), site.day(3)]
    assert done.needed_from == site.day(2)
    live = site.replayed()
    assert sum(live.swarms.counts(TORRENT)) > 0
    assert not live.hidden_peers()
    site.live(1)
    assert shred(site, ALL).shredded == [site.day(2), site.day(3)]


def test_a_crash_between_event_and_key(site: Site) -> None:
    """The next look destroys a key whose event was logged before a crash."""
    site.live(4)

    async def crash(shredder: Shredder) -> None:
        shredder.service.append(AddressesShredded((site.day(0),)), BY)

    with_shredder(site, crash)
    assert site.first_day in keys_of(site.secrets).days()
    with_shredder(site, lambda shredder: shredder.finish())
    assert site.first_day not in keys_of(site.secrets).days()


def test_a_key_that_cannot_be_destroyed(site: Site) -> None:
    """The error names a key that cannot be destroyed, and other keys go."""
    site.live(4)
    path = site.secrets / "privacy" / f"{site.day(0)}.key"
    path.unlink()
    path.mkdir()

    async def try_it(shredder: Shredder) -> None:
        with pytest.raises(OSError, match=path.name):
            await shredder.shred(ALL, BY)

    state = with_shredder(site, try_it)
    assert state.tally.shredded == {site.day(0), site.day(1)}
    assert keys_of(site.secrets).days() == [site.first_day + number for number in (0, 2, 3)]


def test_a_log_without_room(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key stays while its event cannot be logged."""
    site.live(4)

    async def refuse(shredder: Shredder) -> None:
        monkeypatch.setattr(EventLog, "has_room", lambda _, *, reserved=False: not reserved)
        with pytest.raises(ports.LogUnavailableError):
            await shredder.shred(ALL, BY)

    with_shredder(site, refuse)
    assert site.first_day in keys_of(site.secrets).days()


def test_lost_keys_of_living_peers(site: Site) -> None:
    """Replay without the key of a present peer uses stand-ins at the same counts. All peers leave
    when the loss is logged, and a replay with the keys gives the same state.
    """
    live = site.live(1, leave=False)
    (key,) = (site.secrets / "privacy").iterdir()
    content = key.read_bytes()
    destroy_file(key)
    rebuilt = site.replayed()
    assert rebuilt.hidden_peers()
    assert rebuilt.swarms.counts(TORRENT) == live.swarms.counts(TORRENT)

    async def lose(shredder: Shredder) -> None:
        assert shredder.service.state.hidden_peers()
        shredder.service.append(AddressesLost())
        announce(shredder.service, Announce(TORRENT, endpoints(site.first_day)[0], left=0))

    after = with_shredder(site, lose)
    assert not after.hidden_peers()
    assert after.swarms.counts(TORRENT)[0] == 1
    without = site.replayed()
    assert without.digest() == after.digest()
    (site.secrets / "privacy" / key.name).write_bytes(content)
    # Today's key was made anew meanwhile: with the old one back it is the latest announces that
    # cannot be read.
    assert site.replayed().swarms.counts(TORRENT) == after.swarms.counts(TORRENT)


def test_the_ledger_without_addresses() -> None:
    """The sums of the ledger need no address, and the first eight bytes of a peer_id are left."""
    rig = Rig.with_settings(private=True)
    key = rig.issue(1)
    for uploaded in (0, 5, 12):
        rig.announce(Announce(hash_of(1), endpoint4(1), uploaded=uploaded, key=key))
    frames = [frame._replace(protected=memoryview(b"")) for frame in rig.log.frames()]
    entries = list(Ledger(1).entries(frames))
    assert sum(entry.delta_uploaded for entry in entries) == rig.totals(1).uploaded == 12
    assert {entry.peer_id for entry in entries} == {b"-XX0001."}


def test_an_address_of_the_other_family_goes_in_time() -> None:
    """An address of the other family is listed until the day after its announce, so its key may go
    while the peer stays.
    """
    rig = Rig.with_settings(private=True, max_peer_timeout=10 * 86_400)
    key = rig.issue(1)
    both = {
        4: Announce(hash_of(1), endpoint4(1), key=key),
        6: Announce(hash_of(1), endpoint6(1), key=key),
    }
    listed = []
    for family, days in ((4, 0), (6, 0), (6, 1), (6, 1), (4, 0), (4, 1), (4, 300)):
        rig.time.advance(days * DAY_US + SECOND)
        rig.announce(both[family])
        swarms = rig.state.swarms
        (peer,) = swarms.peers(swarms.lookup(hash_of(1)))
        listed.append((bool(swarms.v4.endpoint(peer)), bool(swarms.v6.endpoint(peer))))
    t, f = True, False
    assert listed == [(t, f), (t, t), (t, t), (f, t), (t, t), (t, t), (t, f)]


def test_due_days(site: Site) -> None:
    """A day is due when its last address reaches the scheduled age. 0 days means never."""
    site.live(5)
    assert shred(site, None).shredded == []
    assert shred(site, None, 4).shredded == []
    assert shred(site, None, 3).shredded == [site.day(0)]
    site.time.advance(DAY_US)
    assert shred(site, None, 3).shredded == [site.day(1)]
