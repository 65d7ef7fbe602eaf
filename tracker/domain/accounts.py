"""What each account moved: totals by account number, in columns. Changed by applying announces only.

Raw totals are sums of the differences between successive announces of one peer: never negative, nothing for the
first announce of a session. The ledger lists the announces behind them.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import NamedTuple

from tracker.domain import events
from tracker.domain.swarms import MARK_COMPLETED, MARK_SEEDER, MARK_SNATCHED, Peer


class Totals(NamedTuple):
    """Bytes, microseconds and counts of one account."""

    uploaded: int
    downloaded: int
    seeding_us: int
    sessions: int
    snatched: int
    first_us: int
    last_us: int


class Accounts:
    """Columns by account number; number 0 is nobody."""

    __slots__ = Totals._fields

    def __init__(self) -> None:
        self.uploaded = array("Q", [0])
        self.downloaded = array("Q", [0])
        self.seeding_us = array("Q", [0])
        self.sessions = array("Q", [0])
        self.snatched = array("Q", [0])
        self.first_us = array("Q", [0])
        self.last_us = array("Q", [0])

    def totals(self, account: int) -> Totals:
        """Zeros for an account that never announced."""
        if account >= len(self.uploaded):
            return Totals(0, 0, 0, 0, 0, 0, 0)
        return Totals(*(getattr(self, name)[account] for name in Totals._fields))

    def record(
        self,
        account: int,
        before: Peer | None,
        time_us: int,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        rule: int,
        timeout_us: int,
    ) -> bool:
        """Account for an announce. `before`: the peer's row as it was, None for a new peer.

        Returns whether this announce completed the download, said or inferred from `left`.
        """
        while len(self.uploaded) <= account:
            for name in Totals._fields:
                getattr(self, name).append(0)
        if not self.first_us[account]:
            self.first_us[account] = time_us
        self.last_us[account] = time_us
        if before is None or rule == events.RULE_RESTARTED:
            self.sessions[account] += event != events.STOPPED
            return False
        # `stopped` may come with zeros after larger values: nothing is taken back.
        for column, now, base in (
            (self.uploaded, uploaded, before.uploaded),
            (self.downloaded, downloaded, before.downloaded),
        ):
            column[account] = min(2**64 - 1, column[account] + max(0, now - base))
        if before.mark & MARK_SEEDER:
            self.seeding_us[account] += min(time_us - before.seen_us, timeout_us)
        done = event == events.COMPLETED or (left == 0 and not before.mark & MARK_SEEDER)
        if not done or before.mark & (MARK_COMPLETED | MARK_SNATCHED):
            return False
        self.snatched[account] += 1
        return True

    def digest(self) -> bytes:
        hasher = blake2b(digest_size=16)
        for name in Totals._fields:
            hasher.update(getattr(self, name).tobytes())
        return hasher.digest()
