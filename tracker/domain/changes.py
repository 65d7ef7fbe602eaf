"""Finds which accounts and torrents changed, by comparing what they are with what they were.

It is no part of the state, and no event knows of it: a look passes over the columns of the state
and compares each row's fingerprint with that of the look before. So whatever changes a total is
seen, and announces pay nothing. Compiled, because there are millions of rows.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed

if TYPE_CHECKING:
    from tracker.domain.accounts import Accounts
    from tracker.domain.swarms import Swarms

_all, _odd = 2**64 - 1, 0x9E3779B97F4A7C15  # have types in the .pxd


class Changes:
    """By number of an account or a torrent: the fingerprint that it had at the last look, and the
    event before which a look found that it had changed; 0 = no look has seen it.
    """

    __slots__ = ("at", "seen")

    def __init__(self) -> None:
        self.seen = array("Q")
        self.at = array("Q")

    def accounts(self, accounts: Accounts, first: int, end: int, seq: int) -> None:
        """Looks at the totals of the accounts first..end-1. `seq`: number of the next event."""
        up, down = accounts.uploaded, accounts.downloaded
        credited_up, credited_down = accounts.credited_uploaded, accounts.credited_downloaded
        if not len(credited_up):
            credited_up, credited_down = up, down
        partial = accounts.partial_us
        for number in range(max(first, 1), min(end, len(up))):
            mixed = _mixed(_mixed(1, packed.u64(up, number)), packed.u64(down, number))
            mixed = _mixed(mixed, packed.u64(credited_up, number))
            mixed = _mixed(mixed, packed.u64(credited_down, number))
            mixed = _mixed(mixed, packed.u64(accounts.seeding_us, number))
            mixed = _mixed(mixed, packed.u64(accounts.sessions, number))
            mixed = _mixed(mixed, packed.u64(accounts.snatched, number))
            mixed = _mixed(mixed, packed.u64(accounts.last_us, number))
            if len(partial):
                mixed = _mixed(mixed, packed.u64(partial, number))
            self._enter(number, mixed, seq)

    def torrents(self, swarms: Swarms, first: int, end: int, seq: int) -> None:
        """Looks at the counts of the torrents first..end-1. `seq`: number of the next event."""
        completed = swarms.completed
        for number in range(first, min(end, len(completed))):
            if number and swarms.in_use(number):
                seeders, leechers = packed.counts(swarms.tables.torrents, number * 32)
                mixed = _mixed(_mixed(1, seeders), leechers)
                self._enter(number, _mixed(mixed, packed.u64(completed, number)), seq)

    def _enter(self, number: int, mixed: int, seq: int) -> None:
        while len(self.seen) <= number:
            packed.add_wide(self.seen)
            packed.add_wide(self.at)
        if packed.u64(self.seen, number) != mixed or not packed.u64(self.at, number):
            packed.put_u64(self.seen, number, mixed)
            packed.put_u64(self.at, number, seq)

    def forget(self, number: int) -> None:
        """Has whatever gets this number count as changed at the next look."""
        if number < len(self.at):
            packed.put_u64(self.at, number, 0)

    def after(self, since: int, first: int, limit: int) -> list[int]:
        """Returns at most `limit` numbers, from `first` on, of what changed after event `since`."""
        found: list[int] = []
        for number in range(first, len(self.at)):
            if packed.u64(self.at, number) > since:
                found.append(number)
                if len(found) == limit:
                    break
        return found


def _mixed(mixed: int, value: int) -> int:
    """Mixes a value into a fingerprint. Two that differ in one value always differ."""
    both = mixed ^ value
    return (both ^ both >> 31) * _odd & _all
