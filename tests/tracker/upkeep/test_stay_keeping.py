"""The index of stays says who was there at every moment, as the state does."""

from __future__ import annotations

from itertools import pairwise
from shutil import rmtree
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

import eventlog.log
from eventlog import first_seq
from tests.support import START_US, Announce, endpoint4, endpoint6, hash_of, key_text
from tests.tracker.upkeep.book.site import MEMBERS, PRIVATE, TORRENTS, Site
from tracker.domain.events import DAY_US
from tracker.domain.state import State
from tracker.offline.stays import Addresses
from tracker.ports import SplitTerms
from tracker.service.commands.accounts import merging, splitting
from tracker.store import frames, stay_files
from tracker.store.address_keys import pseudonym
from tracker.store.stay_files import Sought, Stays
from tracker.upkeep import retention

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Rig
    from tracker.store.stay_files import Stay

EVER = 2**62


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 64)
    made = Site(tmp_path / "log")
    for day in range(6):
        made.keys.prepare(START_US // DAY_US + day)
    return made


def opened(site: Site) -> Stays:
    return Stays(site.log, stay_files.read_list(site.log), site.keys, site.log)


def everything(site: Site) -> list[Stay]:
    return list(opened(site).find(Sought(), -1, EVER))


def in_state(state: State) -> set[tuple[bytes, int, str]]:
    """Returns torrent, account and address of all peers."""
    swarms, found = state.swarms, set()
    for peer in filter(swarms.present, range(1, swarms.peer_slots)):
        torrent = swarms.hash_of(swarms.peer(peer).torrent)
        address = ".".join(map(str, swarms.v4.endpoint(peer)[:4]))
        found.add((torrent, swarms.account_of(peer), address))
    return found


def check(site: Site, *, addresses: bool = True) -> None:
    """Compares the index with the state after each frame that the log still has."""
    stays, begin = opened(site), first_seq(site.log)
    known = Addresses(site.log, site.keys, stays)
    state = State()
    for number, frame in enumerate(site.frames):
        frames.apply(state, frame)
        seq = state.seq - 1
        if number % 5 or seq < begin or seq >= stays.listed.upto:
            continue
        there = in_state(state)
        found = {
            (one.info_hash, one.account, known.of(one)) for one in stays.find(Sought(), seq, seq)
        }
        if not addresses:
            there = {(one, other, "") for one, other, _ in there}
            found = {(one, other, "") for one, other, _ in found}
        assert found == there


def test_it_agrees_with_the_state_and_goes_on(site: Site) -> None:
    """Each follower goes on where the one before was, and one that begins anew finds the same."""
    for _ in range(3):
        site.go_on(25)
        site.follow()
    check(site)
    before = everything(site)
    assert {one.why for one in before} >= {"stopped", "expired", "moved"}
    assert {one.how for one in before} >= {"joined", "another_address"}
    rmtree(site.log / "stays")
    follower = site.follow()
    assert everything(site) == before
    rmtree(site.log / "stays")
    site.go_on(5)
    follower._stays_from = 0
    with pytest.raises(OSError, match="the index of stays was removed"):
        follower.catch_up()


def test_a_stay_goes_on_for_the_account_that_gets_the_peer(site: Site) -> None:
    """A merge, a follower that goes on from the files, and the split that undoes the merge, on the
    next day: lines without a gap, with the address at which the peer is, also in IPv6."""
    first = Announce(hash_of(1), endpoint4(7), key=key_text(2))
    other = Announce(hash_of(2), endpoint6(7), key=key_text(2))

    def join(rig: Rig) -> None:
        rig.issue(4, "owner 1")
        rig.announce(first, other)

    def merge(rig: Rig) -> None:
        rig.service.append(merging(rig.state, 2, 1, "why", rig.service.now_us()))

    def split(rig: Rig) -> None:
        rig.announce(Announce(hash_of(3), endpoint4(9), key=key_text(3)))  # makes the day's key
        rig.service.append(splitting(rig.state, 1, SplitTerms([2], "owner 2"), "why"))

    lasting = evolve(PRIVATE, max_peer_timeout=3 * 86_400)
    site.go_on(0, settings=lasting, speak=join)
    for speak in merge, split:
        site.follow()
        site.go_on(0, settings=lasting, speak=speak, wall_us=site.time.wall + DAY_US // 2)
    site.follow()
    stays = opened(site)
    known = Addresses(site.log, site.keys, stays)
    for torrent, address in (1, "127.0.0.7"), (2, "2001:db8::7"):
        lines = list(stays.find(Sought(info_hash=hash_of(torrent)), -1, EVER))
        assert [(one.account, one.how, one.why) for one in lines] == [
            (2, "joined", "account_changed"),
            (1, "another_account", "account_changed"),
            (2, "another_account", None),
        ]
        for one, after in pairwise(lines):
            assert (one.to_seq, one.to_us) == (after.from_seq, after.from_us)
        assert [known.of(one) for one in reversed(lines)] == [address] * 3
        assert len({(one.key_ref, one.client, one.udp, one.listener) for one in lines}) == 1
        assert lines[0].day != lines[2].day
        now = [one.row for one in stays.find(Sought(account=2), EVER, EVER)]
        assert lines[2].row in now
    rmtree(site.log / "stays")
    site.follow()
    assert everything(site) == list(stays.find(Sought(), -1, EVER))


def test_a_merge_before_the_first_announce_of_a_day(site: Site) -> None:
    """The day has no key yet, so the line that the merge begins has no address. Later ones have."""
    lasting = evolve(PRIVATE, max_peer_timeout=3 * 86_400)
    one, two = (Announce(hash_of(who), endpoint4(who), key=key_text(who)) for who in (1, 2))
    site.go_on(0, settings=lasting, speak=lambda rig: rig.announce(one, two))
    follower = site.follow()
    day = site.time.wall // DAY_US + 1
    site.keys.destroy(day)

    def merge(rig: Rig) -> None:
        rig.service.append(merging(rig.state, 2, 1, "why", rig.service.now_us()))

    site.go_on(0, settings=lasting, speak=merge, wall_us=day * DAY_US)
    follower.catch_up()
    site.go_on(0, settings=lasting, speak=lambda rig: rig.announce(one))
    follower.catch_up()
    found = [(each.account, each.why, each.pseudonym != "") for each in everything(site)]
    assert found == [
        (1, "next_day", True), (2, "account_changed", True), (1, None, False), (1, None, True),
    ]  # fmt: skip


def test_each_filter_finds_what_fits(site: Site) -> None:
    site.go_on(60)
    site.follow()
    stays, whole = opened(site), everything(site)
    known = Addresses(site.log, site.keys, stays)
    assert len(whole) > 20

    def found(**what: object) -> list[Stay]:
        return list(stays.find(Sought(**what), -1, EVER))  # type: ignore[arg-type]  # members

    for number in range(1, TORRENTS + 2):
        fits = [one for one in whole if one.info_hash == hash_of(number)]
        assert found(info_hash=hash_of(number)) == fits
    for number in range(1, MEMBERS + 2):
        assert found(account=number) == [one for one in whole if one.account == number]
        assert found(key_ref=number) == [one for one in whole if one.key_ref == number]
    for address in {known.of(one) for one in whole}:
        packed = bytes(10) + b"\xff\xff" + bytes(map(int, address.split(".")))
        fits = [one for one in whole if known.of(one) == address]
        assert fits
        assert found(address=packed) == fits
        assert len({one.pseudonym for one in fits}) == 1
    assert found(network=b"\x7f") == found(prefix=b"-XX0001-") == found(prefix=b"-") == whole
    assert not found(network=b"\x7e")
    assert not found(prefix=b"-XX0002-")
    assert not found(network=b"\x7f", network_v6=True)
    assert found(listener=whole[0].listener) == whole
    assert not found(listener=whole[0].listener + 1)
    numbers = {one.client for one in whole}
    assert found(clients={one for one in numbers if one}) == [one for one in whole if one.client]
    assert not found(clients={4000})
    middle = whole[len(whole) // 2]
    after = [one for one in whole if one.to_seq is None or one.to_seq > middle.from_seq]
    assert list(stays.find(Sought(), middle.from_seq, EVER)) == after
    assert list(stays.find(Sought(), -1, EVER, row=middle.row)) == whole[len(whole) // 2 :]


def test_removal_takes_what_only_removed_events_told(site: Site) -> None:
    for _ in range(2):
        site.go_on(40)
        site.follow()
        site.go_on(1, pruned=True)
        site.follow()
        check(site)
    assert first_seq(site.log) > 0
    assert "made anew" not in str(site.said)
    assert all((one.to_seq or EVER) >= first_seq(site.log) for one in everything(site))
    rmtree(site.log / "stays")
    site.follow()
    check(site, addresses=False)  # the opening has none
    assert everything(site)[0].how == "before"


def test_days(site: Site) -> None:
    """Each day has its volume and pseudonyms. What is made anew after a day was shredded has no
    addresses of it, and a search says so."""
    site.go_on(30, days=2)
    site.follow()
    site.go_on(30, days=2)
    site.follow()
    days = {volume.day for volume in opened(site).listed.volumes}
    assert len(days) >= 3
    assert 0 in [volume.counts[0] for volume in opened(site).listed.volumes]
    whole = everything(site)
    assert {one.day for one in whole} <= days
    check(site)
    first = min(one.day for one in whole)
    packed = bytes(10) + b"\xff\xff" + bytes([127, 0, 0, 10])
    secret = site.keys.pseudonyms(first)
    named = pseudonym(secret, packed).hex()
    old = [one for one in whole if one.pseudonym == named]
    site.keys.destroy(first)
    stays = opened(site)
    assert not [one for one in stays.find(Sought(address=packed), -1, EVER) if one.day == first]
    assert stays.unknown_days == {first}
    later = next(one for one in whole if one.day > first + 1)
    assert list(stays.find(Sought(network=packed[12:15]), -1, EVER)) == whole
    stays = opened(site)
    list(stays.find(Sought(address=packed), later.from_seq, EVER))
    list(stays.find(Sought(address=packed, listener=77), -1, EVER))
    assert not stays.unknown_days  # nobody of that day was there, or over that listener
    assert [one for one in everything(site) if one.pseudonym == named] == old
    rmtree(site.log / "stays")
    site.follow()
    assert all(one.pseudonym == "" for one in everything(site) if one.day == first)
    stays = opened(site)
    found = list(stays.find(Sought(network=packed[12:15]), -1, EVER))
    assert found == [one for one in everything(site) if one.day > first]
    assert stays.unknown_days == {first}


def test_a_damaged_index_is_made_anew(site: Site) -> None:
    site.go_on(30)
    site.follow()
    before = everything(site)
    path = next((site.log / "stays").glob("*.rows"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(stay_files.StaysError, match="damaged"):
        opened(site)
    site.follow()
    assert "made anew: 00000000000000000000.rows of the index is damaged" in str(site.said)
    assert everything(site) == before
