"""The ledger: every announce behind an account's totals, with where each byte of credit comes from.

It is a walk over the log, from each announce to the one it refers to as its previous one. Each entry says what it
added to the raw and to the credited totals, by which rule and factors; corrections are entries of their own. The
entries sum exactly to the totals that the projection keeps for the account: the same code adds them up.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import define

from tracker.domain import codec, events
from tracker.domain.accounts import NOTHING, Totals
from tracker.domain.swarms import MARK_COMPLETED, MARK_EVENT, MARK_SEEDER, MARK_SNATCHED, Peer
from tracker.ledger.rules import Terms
from tracker.store import frames as records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventlog import Frame
    from tracker.domain.state import State

_KEY_REF = Struct("<60xI16x")  # of a record of `codec.PLAIN`

DUPLICATE_US = 30_000_000
"""The same words within this time are a client that announces from several addresses, or once more."""


class Entry(NamedTuple):
    """One announce. Bytes; `base_*` are the previous announce's totals, None for the first of a session."""

    seq: int
    time_us: int
    info_hash: bytes
    peer_id: bytes  # its first 8 bytes only, where the rest cannot be read
    event: str
    uploaded: int
    downloaded: int
    left: int | None
    base_uploaded: int | None
    base_downloaded: int | None
    delta_uploaded: int
    delta_downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    rule: str
    factors: tuple[int, ...]  # their numbers; they are named in the rule as well


class Opening(NamedTuple):
    """What the account had when the log began: the announces behind it were removed. Without the corrections, which
    are entries of their own also from before."""

    seq: int  # of the first event that the log holds
    time_us: int  # of the last event before it
    totals: Totals  # the credited ones as they would have been without corrections


class Correction(NamedTuple):
    """A correction of the credited totals, in signed bytes."""

    seq: int
    time_us: int
    info_hash: bytes | None  # of the announce that it corrects, directly or through corrections
    credited_uploaded: int
    credited_downloaded: int
    corrects: int  # seq
    reason: str


@define
class Sums:
    """What the entries of a torrent, or of the account, come to."""

    announces: int = 0
    corrections: int = 0
    totals: Totals = NOTHING

    def open(self, one: Opening) -> None:
        """Begin with a balance; corrections may have been added before."""
        *mine, _, _ = self.totals
        summed = [each + more for each, more in zip(mine, one.totals[:-2], strict=True)]
        self.totals = Totals._make([*summed, *one.totals[-2:]])

    def add(self, one: Entry | Correction, then: Totals, now: Totals) -> None:
        """Add an entry that took the account's totals from `then` to `now`."""
        announced = isinstance(one, Entry)
        self.announces += announced
        self.corrections += not announced
        *mine, first_us, last_us = self.totals
        summed = [
            each + after - before
            for each, before, after in zip(mine, then[:-2], now[:-2], strict=True)
        ]
        self.totals = Totals._make(
            [
                *summed,
                first_us or (one.time_us if announced else 0),
                one.time_us if announced else last_us,
            ]
        )


def find_account(who: str, frames: Iterable[Frame]) -> int | None:
    """The account of an owner (an id of the site's) or, when nobody is called that, of a key's number."""
    of_number = None
    for frame in frames:
        for _, record in records.admin(frame):
            if record.type in (events.KEY_ISSUED, events.KEY_ROTATED):
                if record.data.get("owner") == who:
                    return account_of(record.data)
                if str(record.data["key_ref"]) == who:
                    of_number = account_of(record.data)
    return of_number


def account_of(data: dict[str, Any]) -> int:
    """Of a `key_issued` or `key_rotated` event."""
    return int(data["account"])


class Ledger:
    """Feed it the log's frames from the first one on; it yields the entries of one account. Of a log whose oldest
    events were removed feed it what was kept of them first, with `opening`.

    Afterwards `torrents` has the sums by torrent (under None of what belongs to no torrent), and `account` all.
    """

    def __init__(
        self,
        account: int,
        info_hash: bytes | None = None,
        decrypt: Callable[[Frame], Frame] | None = None,
    ) -> None:
        """`info_hash`: yield only the entries of this torrent. `decrypt` decrypts the protected section of a frame that has
        entries, where the frames come unopened."""
        self._decrypt = decrypt or (lambda frame: frame)
        self._account = account
        self._info_hash = info_hash
        self._keys: set[int] = set()
        self._terms = Terms()
        self._latest: dict[int, Peer] = {}  # announces that may yet be referred to, by seq
        self._torrent_of = _Torrents()
        self.torrents: dict[bytes | None, Sums] = {}
        self.account = Sums()

    def opening(self, kept: Iterable[Frame], state: State) -> Iterator[Opening | Correction]:
        """The entries from before the log began, which is with `state`: corrections, and the balance."""
        for frame in kept:
            for entry in self._kept_corrections(frame):
                amounts = {"credited_uploaded": entry.credited_uploaded}
                amounts["credited_downloaded"] = entry.credited_downloaded
                self._sum(entry, NOTHING, NOTHING._replace(**amounts))
                if self._info_hash is None:
                    yield entry
        self._begin(state)
        corrected = self.account.totals
        totals = self._totals()
        balance = totals._replace(
            credited_uploaded=totals.credited_uploaded - corrected.credited_uploaded,
            credited_downloaded=totals.credited_downloaded - corrected.credited_downloaded,
        )
        begun = Opening(state.seq, state.time_us, balance)
        for sums in (self.torrents.setdefault(None, Sums()), self.account):
            sums.open(begun)
        if self._info_hash is None:
            yield begun

    def of_torrent(self, info_hash: bytes) -> Sums:
        return self.torrents.get(info_hash) or Sums()

    def _kept_corrections(self, frame: Frame) -> Iterator[Correction]:
        for seq, (kind, time_us, data, _) in records.admin(frame):
            if kind == events.CREDIT_CORRECTED and data["account"] == self._account:
                yield _corrected(seq, time_us, data, None)

    def _begin(self, state: State) -> None:
        """Go on from where the removed events ended."""
        access, peer = state.access, state.swarms.peer
        self._keys = {ref for ref, owner in enumerate(access.account_of) if owner == self._account}
        self._terms.go_on(state, state.accounts)
        theirs = [peer(one) for ref in self._keys for one in state.swarms.of_key.peers(ref)]
        self._latest = {one.last_seq: one for one in theirs}

    def entries(self, frames: Iterable[Frame]) -> Iterator[Entry | Correction]:
        for frame in frames:
            found: Iterable[Entry | Correction] = ()
            if not records.readable(frame):
                continue
            if frame.header.kind == events.ADMIN:
                found = self._corrections(frame)
            elif frame.header.kind == events.ANNOUNCE and self._keys:
                found = self._announces(frame)
            for entry in found:
                if self._info_hash in (None, entry.info_hash):
                    yield entry

    def _corrections(self, frame: Frame) -> Iterator[Correction]:
        """Learn what an admin frame says; corrections of the account are entries."""
        for seq, record in records.admin(frame):
            self._terms.learn(seq, record)
            kind, time_us, data, _ = record
            if kind in (events.KEY_ISSUED, events.KEY_ROTATED):
                if account_of(data) == self._account:
                    self._keys.add(data["key_ref"])
            elif kind == events.CREDIT_CORRECTED and data["account"] == self._account:
                yield self._correction(seq, time_us, data)

    def _correction(self, seq: int, time_us: int, data: dict[str, Any]) -> Correction:
        then = self._totals()
        self._terms.accounts.correct(self._account, data["uploaded"], data["downloaded"])
        info_hash = self._torrent_of.find(data["corrects"])
        entry = _corrected(seq, time_us, data, info_hash)
        self._add(entry, then)
        return entry

    def _announces(self, frame: Frame) -> Iterator[Entry]:
        older = not records.current(frame)
        if older:
            frame = records.newest(self._decrypt(frame))
        # Most frames are passed over by this alone.
        refs = list(chain.from_iterable(_KEY_REF.iter_unpack(frame.plain)))
        if self._keys.isdisjoint(refs):
            return
        protected = frame.protected if older else self._decrypt(frame).protected
        for number, key_ref in enumerate(refs):
            if key_ref in self._keys:
                row = codec.PLAIN.unpack_from(frame.plain, number * codec.PLAIN.size)
                tail = (
                    codec.PROTECTED.unpack_from(protected, number * codec.PROTECTED.size)[1]
                    if protected
                    else b""
                )
                yield self._entry(frame.header.base_seq + number, row, tail)

    def _entry(
        self,
        seq: int,
        row: codec.Plain,
        id_tail: bytes,
    ) -> Entry:
        time_us, info_hash, id_head, uploaded, downloaded, left, _, prev_seq, *_, what, rule = row
        event = what & 0x0F
        then = self._totals()
        before = self._latest.pop(prev_seq, None)
        done = self._terms.record(
            self._account, before, time_us, info_hash, uploaded, downloaded, left, event, rule,
        )  # fmt: skip
        base = before if rule == events.RULE_CONTINUED else None  # a new session has a new base
        peer = Peer(
            id_head + id_tail, mark_of(base, left, event, done), 0, 0, uploaded, downloaded, left,
            time_us, seq,
        )  # fmt: skip
        if event != events.STOPPED:
            self._latest[seq] = peer
        said, factors = self._rule(base, peer, info_hash, rule)
        now = self._totals()
        entry = Entry(
            seq,
            time_us,
            info_hash,
            peer.peer_id,
            events.EVENT_NAMES[event],
            uploaded,
            downloaded,
            None if left == events.LEFT_UNKNOWN else left,
            base.uploaded if base else None,
            base.downloaded if base else None,
            now.uploaded - then.uploaded,
            now.downloaded - then.downloaded,
            now.credited_uploaded - then.credited_uploaded,
            now.credited_downloaded - then.credited_downloaded,
            said,
            factors,
        )
        self._add(entry, then)
        return entry

    def _rule(
        self, base: Peer | None, peer: Peer, info_hash: bytes, rule: int
    ) -> tuple[str, tuple[int, ...]]:
        """By what an announce counts as it does, in words, and the factors among it."""
        if base is None:
            return events.RULE_NAMES.get(rule, str(rule)), ()
        same = (
            (peer.uploaded, peer.downloaded, peer.mark & MARK_EVENT)
            == (base.uploaded, base.downloaded, base.mark & MARK_EVENT)
        )  # fmt: skip
        if same and peer.seen_us - base.seen_us < DUPLICATE_US:
            return f"duplicate of {base.last_seq}", ()
        applied = self._terms.factors.applied(self._account, info_hash, peer.seen_us)
        said = [events.RULE_NAMES.get(rule, str(rule))]
        if applied.upload_factor:
            said.append(f"upload {applied.upload_percent}% by factor {applied.upload_factor}")
        if applied.download_factor:
            said.append(f"download {applied.download_percent}% by factor {applied.download_factor}")
        factors = {applied.upload_factor, applied.download_factor} - {0}
        return ", ".join(said), tuple(sorted(factors))

    def _totals(self) -> Totals:
        return self._terms.accounts.totals(self._account)

    def _add(self, entry: Entry | Correction, then: Totals) -> None:
        self._sum(entry, then, self._totals())

    def _sum(self, entry: Entry | Correction, then: Totals, now: Totals) -> None:
        self._torrent_of.note(entry.seq, entry.info_hash)
        self.torrents.setdefault(entry.info_hash, Sums()).add(entry, then, now)
        self.account.add(entry, then, now)


def _corrected(seq: int, time_us: int, data: dict[str, Any], info_hash: bytes | None) -> Correction:
    reason = data.get("by", {}).get("reason", "")
    amounts = data["uploaded"], data["downloaded"]
    return Correction(seq, time_us, info_hash, *amounts, data["corrects"], reason)


def mark_of(base: Peer | None, left: int, event: int, done: bool) -> int:
    """What the peer's row says after an announce, as `Swarms` keeps it."""
    kept = base.mark & (MARK_COMPLETED | MARK_SNATCHED) if base else 0
    seeder = MARK_SEEDER if left == 0 else 0
    completed = MARK_COMPLETED if event == events.COMPLETED else 0
    return kept | seeder | completed | (MARK_SNATCHED if done else 0) | event


class _Torrents:
    """Which torrent an entry belongs to, for corrections that name it: 12 bytes an entry."""

    def __init__(self) -> None:
        self._seqs = array("Q")  # ascending
        self._torrents = array("I")
        self._hashes: list[bytes | None] = []
        self._numbers: dict[bytes | None, int] = {}

    def note(self, seq: int, info_hash: bytes | None) -> None:
        number = self._numbers.setdefault(info_hash, len(self._hashes))
        if number == len(self._hashes):
            self._hashes.append(info_hash)
        self._seqs.append(seq)
        self._torrents.append(number)

    def find(self, seq: int) -> bytes | None:
        at = bisect_left(self._seqs, seq)
        if at == len(self._seqs) or self._seqs[at] != seq:
            return None
        return self._hashes[self._torrents[at]]
