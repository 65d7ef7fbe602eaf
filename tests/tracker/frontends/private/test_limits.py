"""What members see of limits: who is refused, and who gives way to whom, over HTTP."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from tests.support import SECOND, hash_of, replayed
from tests.tracker.frontends.private.front import HASH, PRIVATE, Front, announce
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import LimitsSet
from tracker.domain.policy import Policy
from tracker.ports import Actor
from tracker.service.commands.accounts import merging

BY = Actor("ops", "", "", "as told")
HOME, AWAY = bytes([127, 0, 0, 9]), bytes([127, 0, 0, 8])
FULL = "Tracker error: your account downloads as many torrents as it may"
TODAY = "Tracker error: your account started as many torrents today as it may"
MANY = "Tracker error: too many clients with your key on this torrent"
HASHES = [HASH, *map(hash_of, range(50, 55))]


class Member(Front):
    """A member with one key, who may come with many clients."""

    key = b"key%029d" % 10

    def come(self, client: int, torrent: int = 0, left: int = 7, home: bool = True) -> str:
        """Announces from port 7000 + client; returns the failure, "" = none."""
        target = (
            announce(self.key, HASHES[torrent])
            .replace(b"port=6881", b"port=%d" % (7000 + client))
            .replace(b"XX0001.abcdefghijkl", b"XX0001.abcdefghijk%d" % client)
            .replace(b"left=7", b"left=%d" % left)
        )
        reply = self.get(target, address=HOME if home else AWAY)
        assert not reply.get("failure reason") or reply["retry in"] == 30
        return str(reply.get("failure reason", b"").decode())

    def ports(self, torrent: int = 0) -> set[int]:
        swarms = self.rig.state.swarms
        number = swarms.lookup(HASHES[torrent])
        endpoints = (swarms.v4.endpoint(each) for each in swarms.v4.members(number))
        return {int.from_bytes(each[4:], "big") - 7000 for each in endpoints}

    def limit(self, **own: Any) -> None:
        self.rig.service.append(LimitsSet(self.rig.state.access.owners["anna"], **own), BY)

    def same_after_replay(self) -> bool:
        return replayed(self.rig.log.frames()).digest() == self.rig.state.digest()


def member(**policy: Any) -> Member:
    found = Member(evolve(PRIVATE, policy=Policy(**policy)))
    found.rig.issue(10, "anna")
    return found


def test_slots_count_what_is_left() -> None:
    """Who seeds takes no slot; a slot is free when the download is complete, or was stopped."""
    one = member(leeching_slots=2)
    for torrent in range(4):
        assert not one.come(0, torrent, left=0)
    assert (one.come(0, 4), one.come(0, 5)) == ("", "")
    assert one.come(0, 0) == FULL  # a seeder that begins to leech takes one as well
    assert one.come(0, 4) == ""  # who has one keeps it
    assert one.come(0, 5, left=0) == ""
    assert one.come(0, 0) == ""
    one.limit(slots=3)
    assert (one.come(0, 1), one.come(0, 2)) == ("", FULL)
    one.limit(slots=0)
    assert one.come(0, 2) == ""
    one.limit()  # the policy's count again
    assert one.rig.state.limits.accounts == {}
    assert (one.come(0, 3), one.come(0, 2)) == (FULL, "")
    assert one.same_after_replay()


def test_a_crashed_client_comes_back() -> None:
    """At another port of its address it takes the place of what it was on the same torrent."""
    one = member(leeching_slots=2)
    assert (one.come(0, 0), one.come(0, 1)) == ("", "")
    assert one.come(1, 0, home=False) == FULL
    assert (one.come(1, 0), one.come(1, 1)) == ("", "")
    assert (one.ports(0), one.ports(1)) == ({1}, {1})
    assert one.same_after_replay()


def test_what_is_overdue_gives_way() -> None:
    """Of the peers at the same address the one that is silent for longest, once it is late."""
    one = member(leeching_slots=3)
    for torrent in (1, 0, 2):
        assert not one.come(0, torrent, home=torrent != 1)
        one.rig.time.advance(SECOND)
    one.rig.time.advance(178 * SECOND)  # interval, a minute, and one second less
    assert one.come(1, 3) == FULL
    one.rig.time.advance(SECOND)
    assert one.come(1, 3) == ""
    assert [one.ports(each) for each in range(4)] == [set(), {0}, {0}, {1}]
    assert one.come(1, 4) == FULL
    assert one.same_after_replay()


def test_locations() -> None:
    """The account's oldest peer at the same address gives way; another address is refused."""
    one = member(peers_per_account=2)
    assert [one.come(client) for client in (0, 1, 0)] == ["", "", ""]
    assert one.come(2, home=False) == MANY
    assert one.come(2) == ""
    assert one.ports() == {0, 2}
    one.limit(locations=3)
    assert one.come(3, home=False) == ""
    assert one.ports() == {0, 2, 3}
    assert one.same_after_replay()


def test_one_peer_frees_both() -> None:
    """A client that comes back is at both limits, and one peer gives way."""
    one = member(peers_per_account=1, leeching_slots=1)
    assert (one.come(0), one.come(1)) == ("", "")
    assert one.ports() == {1}
    one = member(peers_per_account=1, leeching_slots=1)
    assert (one.come(0, 0, left=0), one.come(0, 1)) == ("", "")
    assert one.come(1, 0) == FULL  # the seeder here would free no slot


def test_torrents_a_day() -> None:
    """Each torrent counts once a day, and only what is left; a seeder is never asked."""
    one = member(started_per_day=2)
    assert [one.come(0, torrent, left=0) for torrent in range(4)] == [""] * 4
    assert [one.come(0, 0), one.come(0, 1)] == ["", ""]  # they were seeded until now: no start
    assert [one.come(1, torrent) for torrent in (4, 5, 2)] == ["", "", TODAY]
    assert one.come(1, 2, left=0) == ""
    assert [one.come(client, 4) for client in (2, 1, 2)] == ["", "", ""]  # it counts once
    one.rig.time.advance(DAY_US)
    assert one.come(1, 3) == TODAY  # a day begins with its first tick
    one.rig.service.tick()
    assert [one.come(3, torrent) for torrent in (3, 4, 5)] == ["", "", TODAY]
    one.limit(started_per_day=0)
    assert one.come(3, 5) == ""
    assert sum(one.rig.state.limits.budgets.started) == 2
    assert one.same_after_replay()


def test_who_goes_on_starts_nothing() -> None:
    """Not on a new day, nor under other limits, nor for the account that gets the peer: what it
    announces next is noted, so that its other clients start nothing either."""
    one = member(started_per_day=1)
    state, service = one.rig.state, one.rig.service
    service.change_settings(evolve(state.settings, max_peer_timeout=3 * 86_400))
    assert one.come(0) == ""
    one.rig.time.advance(DAY_US)
    service.tick()
    assert [one.come(0), one.come(1)] == ["", ""]
    one.limit(started_per_day=0)
    assert one.come(2, 1) == ""
    one.limit(started_per_day=1)
    assert [one.come(2, 1), one.come(3, 1)] == ["", ""]
    one.rig.issue(11, "bert")
    service.append(merging(state, *state.access.owners.values(), "why", service.now_us()))
    assert [one.come(2, 1), one.come(4, 1)] == ["", ""]
    assert not any(state.limits.budgets.started)
    assert [one.come(5, 2), one.come(5, 3)] == ["", TODAY]
    assert one.same_after_replay()
