"""Counts the time for which accounts' peers are listed as seeders or partial seeds.

By accounting rules 2 each moment of an account in a torrent counts once, so its peers there count
together. A peer that is alone counts by its row. Only applying an event changes the counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import events, packed
from tracker.domain.groups import Groups
from tracker.domain.listing import NEVER
from tracker.domain.swarms import MARK_SEEDER, MARK_SHARED, ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.accounts import Accounts
    from tracker.domain.listing import Listing
    from tracker.domain.swarms import Swarms


class Seeding:
    """The times that are counted, and the peers that count together: see `Groups`."""

    __slots__ = ("_accounts", "_groups", "_listing", "_swarms")

    def __init__(self, swarms: Swarms, accounts: Accounts, listing: Listing) -> None:
        self._swarms = swarms
        self._accounts = accounts
        self._listing = listing
        self._groups = Groups()

    @property
    def settled(self) -> dict[int, int]:
        """For accounts with several peers in a torrent, by account and torrent (`share`), the log
        time up to which their time is counted.
        """
        return self._groups.named()

    def count(
        self,
        account: int,
        torrent: int,
        peer: int,
        mark: int,
        seen_us: int,
        last_seq: int,
        time_us: int,
        leaves: bool,
    ) -> int:
        """Counts time up to now, because a peer announces or leaves.

        `peer`: 0 = a new one, which does not leave. `mark`, `seen_us`, `last_seq`: of its row, as
        they were before. Returns the number of the account's peers in
        the torrent, with this one, if they have counted together or will from now on; else 0. Then
        `announced` has to follow. It also returns 0 for a peer that leaves.
        """
        if peer:
            if mark & 0x80:  # MARK_SHARED
                group = self._groups.of(peer)
                size = self._settle(account, group, time_us)
                if not leaves:
                    return size
                self._groups.left(peer)
                if size == 1:
                    self._groups.end(group)
                return 0
            if last_seq >= self._listing.since_seq:
                if mark & 0x14:  # a seeder, or a partial seed
                    until_us = min(time_us, self._listing.until(seen_us))
                    self._accounts.listed(account, mark, seen_us, until_us)
                return 0
        return 0 if leaves or not torrent else self._join(account, torrent, peer, time_us)

    def announced(self, account: int, torrent: int, peer: int, size: int) -> None:
        """Notes that a peer has announced for which `count` returned a `size`."""
        swarms, groups = self._swarms, self._groups
        mark = swarms.rows[peer * 72 + 20]
        if size == 1:  # no other peer of the account is left in the torrent
            swarms.unmark(peer, 0x80)
            groups.end(groups.of(peer))
        elif mark & 0x80:
            groups.announced(groups.of(peer), peer, mark)
        else:
            swarms.mark(peer, 0x80)
            groups.add(groups.find(account, torrent), peer, mark)

    def _join(self, account: int, torrent: int, peer: int, time_us: int) -> int:
        """Lets a peer count together with the account's other peers in the torrent, from now on.

        `peer`: 0 = a new one. Returns their number and this one; 0 = there are no others.
        """
        swarms = self._swarms
        if not swarms.has_account(torrent, account, peer):
            return 0
        group = self._groups.find(account, torrent)
        if group:
            return self._settle(account, group, time_us) + 1
        others = [one for one in swarms.of_account(torrent, account) if one != peer]
        group = self._groups.begin(account, torrent, time_us)
        for one in sorted(others, key=swarms.seen_us) if len(others) > 1 else others:
            self._bring(account, group, one, time_us)
        return len(others) + 1

    def _bring(self, account: int, group: int, peer: int, time_us: int) -> None:
        """Counts the time of a peer that was alone up to now, and lets it into a group."""
        self._count_alone(account, peer, time_us)
        self._enter(group, peer)

    def _count_alone(self, account: int, peer: int, time_us: int) -> None:
        mark, _, _, seen_us, last_seq = packed.session(self._swarms.rows, peer * 72)
        if last_seq >= self._listing.since_seq:
            until_us = min(time_us, self._listing.until(seen_us))
            self._accounts.listed(account, mark, seen_us, until_us)

    def _enter(self, group: int, peer: int) -> None:
        mark, _, _, _, _ = packed.session(self._swarms.rows, peer * 72)
        self._swarms.mark(peer, 0x80)
        self._groups.add(group, peer, mark)

    def settle(self, account: int, torrent: int, time_us: int) -> None:
        """Counts the time of an account's peers in a torrent up to now. `again` has to follow."""
        group = self._groups.find(account, torrent)
        if group:
            self._settle(account, group, time_us)
            return
        for peer in self._swarms.of_account(torrent, account):  # one at most
            self._count_alone(account, peer, time_us)

    def again(self, account: int, torrent: int, time_us: int) -> None:
        """Has the peers that an account has in a torrent now count together, from now on."""
        group = self._groups.find(account, torrent)
        if group:
            self._groups.end(group)
        peers = sorted(self._swarms.of_account(torrent, account), key=self._swarms.seen_us)
        if peers:
            group = self._groups.begin(account, torrent, time_us)
            for peer in peers:
                self._enter(group, peer)

    def _settle(self, account: int, group: int, time_us: int) -> int:
        """Counts the time of an account with several peers in a torrent, up to a log time.

        Returns their number.
        """
        groups, rows, since_seq = self._groups, self._swarms.rows, self._listing.since_seq
        seeder_us = partial_us = 0  # the latest announces of each
        mark, _, _, seen_us, last_seq = packed.session(rows, groups.latest(group, False) * 72)
        if mark & 0x10 and last_seq >= since_seq:  # else by the old rule
            seeder_us = seen_us
        mark, _, _, seen_us, last_seq = packed.session(rows, groups.latest(group, True) * 72)
        if mark & 0x14 == 0x04 and last_seq >= since_seq:
            partial_us = seen_us
        settled_us, seeding_us, partial_us = self._listing.gained(
            packed.u64(groups.settled, group), seeder_us, partial_us, time_us
        )
        if seeding_us:
            self._accounts.listed(account, 0x10, 0, seeding_us)
        if partial_us:
            self._accounts.listed(account, 0x04, 0, partial_us)
        packed.put_u64(groups.settled, group, settled_us)
        return packed.u32(groups.sizes, group)

    def _gained(self, peers: list[int], settled_us: int, time_us: int) -> tuple[int, int, int]:
        """Returns what `Listing.gained` does, for these peers of an account in a torrent."""
        rows, since_seq = self._swarms.rows, self._listing.since_seq
        seeder_us = partial_us = 0  # the latest announces of each
        for peer in peers:
            mark, _up, _down, seen_us, last_seq = packed.session(rows, peer * 72)
            if last_seq < since_seq:
                continue  # by the old rule
            if mark & 0x10:
                seeder_us = max(seeder_us, seen_us)
            elif mark & 0x04:
                partial_us = max(partial_us, seen_us)
        return self._listing.gained(settled_us, seeder_us, partial_us, time_us)

    def regroup(self, settled: dict[int, int]) -> None:
        """Makes the groups of a state that was loaded, from what `settled` was."""
        swarms = self._swarms
        for name, settled_us in settled.items():
            account, torrent = name >> 32, name & 0xFFFFFFFF
            group = self._groups.begin(account, torrent, settled_us)
            for peer in sorted(swarms.of_account(torrent, account), key=swarms.seen_us):
                self._groups.add(group, peer, swarms.peer(peer).mark)

    # Reading.

    def last_us(self, account: int, torrent: int, peer: int) -> int:
        """Returns when the latest seeder or partial seed of the account, or this peer, announced
        in the torrent.
        """
        swarms, groups = self._swarms, self._groups
        latest = [peer]
        if swarms.peer(peer).mark & MARK_SHARED:
            group = groups.find(account, torrent)
            latest += filter(None, (groups.latest(group, False), groups.latest(group, True)))
        return max(map(swarms.seen_us, latest))

    def open(self, account: int, time_us: int) -> Iterator[tuple[bytes, int, int]]:
        """Yields the time for which an account's peers are listed so far, and that is not counted
        yet: info hash, microseconds of seeding and of partial seeding.
        """
        swarms = self._swarms
        if self._listing.since_seq == NEVER:
            return
        for torrent, peers in self._torrents_of(account).items():
            group = self._groups.find(account, torrent)
            settled_us = self._groups.settled[group] if group else swarms.seen_us(peers[0])
            _, seeding, partial = self._gained(peers, settled_us, time_us)
            yield bytes(swarms.hashes[torrent * 20 : torrent * 20 + 20]), seeding, partial

    def so_far(self, account: int, torrent: int, time_us: int) -> tuple[int, int, int]:
        """Returns the time that `open` yields for one torrent, and before it the log time at which
        it begins.
        """
        group = self._groups.find(account, torrent)
        if group:
            settled_us = self._groups.settled[group]
            latest = self._groups.latest(group, False), self._groups.latest(group, True)
            peers = [peer for peer in latest if peer]
        else:
            peers = self._swarms.of_account(torrent, account) if torrent else []
            settled_us = self._swarms.seen_us(peers[0]) if peers else time_us
        return (settled_us, *self._gained(peers, settled_us, time_us)[1:])

    def _torrents_of(self, account: int) -> dict[int, list[int]]:
        """Returns the peers of an account by torrent."""
        found: dict[int, list[int]] = {}
        for peer in self._swarms.peers_of(account):
            torrent, _ = packed.standing(self._swarms.rows, peer * 72)
            found.setdefault(torrent, []).append(peer)
        return found


def share(account: int, torrent: int) -> int:
    """Returns the name of an account and a torrent in `Seeding.settled`."""
    return account << 32 | torrent


# Fails when one of these constants changes, because the code above has literals in their place.
if (ROW_SIZE, MARK_SEEDER, MARK_SHARED, events.PAUSED) != (72, 0x10, 0x80, 4):
    raise AssertionError("Seeding spells these numbers out")
