"""Holds the totals of each account, in columns: the bytes that it moved, and its credited bytes.

Raw totals are sums of the differences between successive announces of one peer. A difference is
never negative, and the first announce of a session has none. Credited totals also depend on the
factors in force and on corrections; raw totals do not. The ledger lists the announces behind both.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import events, packed
from tracker.domain.factors import EVEN, WORDS, from_words
from tracker.domain.swarms import MARK_SEEDER, MARK_SNATCHED, Peer

if TYPE_CHECKING:
    from tracker.domain.factors import Applied, Factors
    from tracker.domain.moved import Moved

MOST = 2**64 - 1
"""The largest total, in bytes. An announce that would exceed it adds only what fits."""
_most, _unknown = MOST, events.LEFT_UNKNOWN  # have types in the .pxd, as in `directory.py`


class Totals(NamedTuple):
    """Bytes, microseconds and counts of one account."""

    uploaded: int
    downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    seeding_us: int
    sessions: int
    snatched: int
    first_us: int
    last_us: int
    partial_us: int = 0  # partial seeding (BEP 21) that is not in `seeding_us`; 0 by rules 1


NOTHING = Totals(0, 0, 0, 0, 0, 0, 0, 0, 0)


class Accounts:
    """Columns by account number; 0 is no account.

    The credited columns are empty until the first factor or correction, because until then they
    would equal the raw columns. `partial_us` is empty until there is an amount for it.

    `terms` has the percentages and factors of each peer's last announce, `factors.WORDS` words by
    the peer's number. It ends with the last peer that had any.
    """

    __slots__ = (*Totals._fields, "_factors", "terms")

    def __init__(self, factors: Factors) -> None:
        self._factors = factors
        self.uploaded = array("Q", [0])
        self.downloaded = array("Q", [0])
        self.credited_uploaded = array("Q")
        self.credited_downloaded = array("Q")
        self.seeding_us = array("Q", [0])
        self.sessions = array("Q", [0])
        self.snatched = array("Q", [0])
        self.partial_us = array("Q")
        self.first_us = array("Q", [0])
        self.last_us = array("Q", [0])
        self.terms = array("I")

    def totals(self, account: int) -> Totals:
        """Returns the totals of an account; zeros if it never announced."""
        if account >= len(self.uploaded):
            return NOTHING
        return Totals(*(column[account] if column else 0 for column in self._columns()))

    def total(self, account: int, field: str) -> int:
        """Returns one of the totals of an account by its name."""
        column: array[int] = getattr(self, field)
        if not len(column) and field.startswith("credited_"):
            column = getattr(self, field.removeprefix("credited_"))
        return column[account] if account < len(column) else 0

    def _columns(self) -> tuple[array[int], ...]:
        """Returns the columns in the order of `Totals`."""
        return (
            self.uploaded, self.downloaded,
            self.credited_uploaded or self.uploaded, self.credited_downloaded or self.downloaded,
            self.seeding_us, self.sessions, self.snatched, self.first_us, self.last_us,
            self.partial_us,
        )  # fmt: skip

    def keep_credit(self) -> None:
        """Keeps the credited totals in their own columns from now on."""
        if not self.credited_uploaded:
            self.credited_uploaded = self.uploaded[:]
            self.credited_downloaded = self.downloaded[:]

    def reach(self, account: int) -> None:
        """Makes the columns long enough for an account."""
        while len(self.uploaded) <= account:
            packed.add_wide(self.uploaded)
            packed.add_wide(self.downloaded)
            packed.add_wide(self.seeding_us)
            packed.add_wide(self.sessions)
            packed.add_wide(self.snatched)
            packed.add_wide(self.first_us)
            packed.add_wide(self.last_us)
            # These are empty until they are needed.
            if len(self.credited_uploaded):
                packed.add_wide(self.credited_uploaded)
                packed.add_wide(self.credited_downloaded)
            if len(self.partial_us):
                packed.add_wide(self.partial_us)

    def record(
        self,
        account: int,
        before: Peer | None,
        time_us: int,
        info_hash: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        rule: int,
        timeout_us: int,
    ) -> bool:
        """Adds an announce to the totals. `before`: the peer's row before it, None for a new peer.

        Returns whether this announce completed the download, by its event or by its `left`.
        """
        session = (
            (before.mark, before.uploaded, before.downloaded, before.seen_us)
            if before
            else (0, 0, 0, 0)
        )
        return self.announced(
            account, before is not None and rule != events.RULE_RESTARTED, *session, time_us,
            info_hash, uploaded, downloaded, left, event, timeout_us,
        )  # fmt: skip

    def announced(
        self,
        account: int,
        goes_on: bool,
        mark: int,
        last_up: int,
        last_down: int,
        seen_us: int,
        time_us: int,
        info_hash: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        timeout_us: int,
    ) -> bool:
        """Does what `record` does, without a row.

        `goes_on`: the announce continues the session with this `mark`, these totals and `seen_us`.
        The info hash is only for credit factors.
        """
        if len(self.uploaded) <= account:
            self.reach(account)
        if not packed.u64(self.first_us, account):
            packed.put_u64(self.first_us, account, time_us)
        packed.put_u64(self.last_us, account, time_us)
        if not goes_on:
            if event != 3:  # events.STOPPED
                _add(self.sessions, account, 1)
            return False
        # `stopped` may come with zeros after larger values. Then the totals stay.
        up = _add(self.uploaded, account, uploaded - last_up) if uploaded > last_up else 0
        down = (
            _add(self.downloaded, account, downloaded - last_down) if downloaded > last_down else 0
        )
        if len(self.credited_uploaded):
            applied = self._factors.applied(account, info_hash, time_us)
            _add(self.credited_uploaded, account, min(up * applied.upload_percent // 100, MOST))
            _add(
                self.credited_downloaded, account, min(down * applied.download_percent // 100, MOST)
            )
        seeder = mark & 0x10  # MARK_SEEDER
        if seeder and time_us > seen_us:
            _add(self.seeding_us, account, min(time_us - seen_us, timeout_us))
        # Some clients send `completed` when they have the files they wanted. If bytes are left, the
        # torrent is not complete.
        sent = event == 1 and left in (0, events.LEFT_UNKNOWN)  # events.COMPLETED
        if not (sent or (left == 0 and not seeder)) or mark & 0x40:  # MARK_SNATCHED
            return False
        _add(self.snatched, account, 1)
        return True

    def counted(
        self,
        account: int,
        goes_on: bool,
        mark: int,
        last_up: int,
        last_down: int,
        time_us: int,
        uploaded: int,
        downloaded: int,
        left: int,
        event: int,
        most_up: int,
        up_percent: int,
        down_percent: int,
        freed: int,
    ) -> bool:
        """Does by rules 2 what `announced` does, except for seeding time: see `listed`.

        `most_up`: the most bytes of upload to count. The percentages are those for the gap.
        `freed`: bytes of download that a freeleech token frees.
        """
        if len(self.uploaded) <= account:
            self.reach(account)
        if not packed.u64(self.first_us, account):
            packed.put_u64(self.first_us, account, time_us)
        packed.put_u64(self.last_us, account, time_us)
        if not goes_on:
            if event != 3:  # events.STOPPED
                _add(self.sessions, account, 1)
            return False
        up = min(uploaded - last_up, most_up) if uploaded > last_up else 0
        up = _add(self.uploaded, account, up)
        down = (
            _add(self.downloaded, account, downloaded - last_down) if downloaded > last_down else 0
        )
        if len(self.credited_uploaded):
            _add(self.credited_uploaded, account, _percent(up, up_percent))
            down = down - freed if down > freed else 0
            _add(self.credited_downloaded, account, _percent(down, down_percent))
        sent = event == 1 and (not left or left == _unknown)  # events.COMPLETED, as above
        if not (sent or (left == 0 and not mark & 0x10)) or mark & 0x40:  # SEEDER, SNATCHED
            return False
        _add(self.snatched, account, 1)
        return True

    def listed(self, account: int, mark: int, from_us: int, until_us: int) -> None:
        """Counts the time for which a peer was listed, by its mark at the beginning."""
        if until_us > from_us:
            if len(self.uploaded) <= account:
                self.reach(account)
            if mark & 0x10:  # MARK_SEEDER
                _add(self.seeding_us, account, until_us - from_us)
            elif mark & 0x04:  # the last event was `paused`
                self.partly(account, until_us - from_us)

    def partly(self, account: int, amount_us: int) -> None:
        """Counts partial seeding."""
        if not len(self.partial_us):
            self.partial_us = array("Q", bytes(8 * len(self.uploaded)))
        _add(self.partial_us, account, amount_us)

    def terms_of(self, peer: int) -> Applied:
        """Returns the percentages and factors of a peer's last announce."""
        words = self.terms[peer * WORDS : (peer + 1) * WORDS]
        return from_words(words) if words else EVEN

    def percents_of(self, peer: int) -> int:
        """Returns the first of the words behind `terms_of`."""
        return packed.u32(self.terms, peer * 3) if peer * 3 < len(self.terms) else 0  # WORDS

    def keep_terms(
        self, peer: int, percents: int, upload_factor: int, download_factor: int
    ) -> None:
        """Keeps the percentages and factors of a peer's last announce: see `as_words`."""
        terms, at = self.terms, peer * 3
        if at >= len(terms) and (percents or upload_factor or download_factor):
            packed.add_words(terms, at + 3 - len(terms), 0)
        if at < len(terms):
            packed.put_u32(terms, at, percents)
            packed.put_u32(terms, at + 1, upload_factor)
            packed.put_u32(terms, at + 2, download_factor)

    def corrected(self, account: int, uploaded: int, downloaded: int) -> tuple[int, int]:
        """Returns what the credited totals would be after a correction.

        Raises `ValueError` if one would leave the range 0 to `MOST`.
        """
        totals = self.totals(account)
        after = totals.credited_uploaded + uploaded, totals.credited_downloaded + downloaded
        if not all(0 <= total <= MOST for total in after):
            raise ValueError(f"credited totals of {after[0]} and {after[1]} bytes")
        return after

    def correct(self, account: int, uploaded: int, downloaded: int) -> None:
        """Adds signed amounts to the credited totals. Raises `ValueError` as `corrected` does."""
        up, down = self.corrected(account, uploaded, downloaded)
        self.keep_credit()
        self.reach(account)
        self.credited_uploaded[account] = up
        self.credited_downloaded[account] = down

    def check_move(self, account: int, to: int, moved: Moved) -> None:
        """Raises `ValueError` unless these amounts can move from one account to another."""
        ours, theirs = self.totals(account), self.totals(to)
        for name, amount in moved.amounts().items():
            if amount > getattr(ours, name):
                raise ValueError(
                    f"account {account} has {getattr(ours, name)} ({name}), not {amount}"
                )
            if amount + getattr(theirs, name) > MOST:
                raise ValueError(f"account {to} would have more than {MOST} ({name})")

    def gain(self, account: int, moved: Moved) -> None:
        """Adds amounts that another account lost, or takes some away: then they are negative."""
        self.reach(account)
        amounts = moved.amounts()
        partial_us = amounts.pop("partial_us")
        credited = amounts["credited_uploaded"], amounts["credited_downloaded"]
        if credited != (amounts["uploaded"], amounts["downloaded"]):
            self.keep_credit()
        for name, amount in amounts.items():
            column = getattr(self, name)
            if len(column):  # else the credited totals are the raw ones
                column[account] += amount
        if partial_us:
            self.partly(account, 0)
            self.partial_us[account] += partial_us

    def digest(self) -> bytes:
        hasher = blake2b(digest_size=16)
        for name in Totals._fields:
            column = getattr(self, name)
            if column or name != "partial_us":
                hasher.update(b"%d|" % len(column) + column.tobytes())
        hasher.update(self.terms.tobytes())
        return hasher.digest()


def _add(column: array[int], account: int, amount: int) -> int:
    """Adds an amount to a total, up to `MOST`. Returns the bytes that were added."""
    total = packed.u64(column, account)
    if amount > _most - total:
        amount = _most - total
    packed.put_u64(column, account, total + amount)
    return amount


def _percent(amount: int, percent: int) -> int:
    """Returns a share of an amount, rounded down, up to `MOST`."""
    if percent == 100:
        return amount
    if percent and amount // 100 > _most // percent:
        return _most
    whole, rest = amount // 100 * percent, amount % 100 * percent // 100
    return _most if rest > _most - whole else whole + rest


# Fails when one of these constants changes, because the code above has literals in their place.
if (events.STOPPED, events.COMPLETED, events.PAUSED, MARK_SEEDER, MARK_SNATCHED, WORDS) != (
    (3, 1, 4, 0x10, 0x40, 3)
):
    raise AssertionError("Accounts.announced spells these numbers out")
