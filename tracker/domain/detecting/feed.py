"""Makes intervals from the events of a replay, and has the detectors hear them.

It knows peers by the numbers of their last announces, which each announce of the log names. So it
needs no addresses, and sees the same peers as the state.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tracker.domain import events, packed
from tracker.domain.detecting import keeping
from tracker.domain.detecting.intervals import Interval
from tracker.domain.events.announce import V4_MAPPED
from tracker.domain.judging import size_of

if TYPE_CHECKING:
    from tracker.domain.detecting.intervals import Finding
    from tracker.domain.detecting.keeping import Remembers
    from tracker.domain.detecting.watch import Watch
    from tracker.domain.events.records import AnnounceRefused
    from tracker.domain.state import State

Found = tuple[int, int, "Finding"]
"""A finding, behind the number and the log time of the event that showed it."""

MOST_AWAY = 1_000_000
"""The most peers that are remembered while they are away, about 0.5 kB each. Of further ones the
oldest are forgotten: what they announce next counts as their first announce.
"""
MOST_SHARED = 65_536
"""The most names that are looked up, so that peers share them; then they are looked up anew."""

_NOTHING: list[Found] = []
# They have types in the .pxd.
_stopped, _rule_first, _rule_restarted = events.STOPPED, events.RULE_FIRST, events.RULE_RESTARTED
_left_unknown, _v4_mapped = events.LEFT_UNKNOWN, V4_MAPPED


class _Last:
    """The last announce of a peer: numbers as in the log, and the names that `Interval` has."""

    __slots__ = (
        "client", "downloaded", "left", "name", "named", "peer", "size", "time_us", "unowned",
        "uploaded",
    )  # fmt: skip

    def enter(self, one: Interval, left: int, named: bool) -> None:
        """Enters an announce. `left`: as in the log; `named`: the end of the peer_id is known."""
        self.time_us, self.client, self.left, self.named = one.time_us, one.client, left, named
        self.name, self.peer, self.unowned = one.name, one.peer, one.unowned
        self.uploaded, self.downloaded, self.size = one.uploaded, one.downloaded, one.size


class Feed:
    """Remembers the last announce of each peer with an account, without its address."""

    version = 3
    kept = ("_last", "_away", "_secret")
    holds: tuple[Any, ...] = (_Last,)

    def __init__(self, watch: Watch, secret: bytes = b"") -> None:
        """`secret`: up to 64 random bytes, under which the ends of peer_ids are hashed."""
        self._watch, self._secret = watch, secret
        self._last: dict[int, _Last] = {}  # by its number
        self._away: dict[int, _Last] = {}  # of peers that may come back; the oldest first
        self._shared: dict[Any, Any] = {}  # info hashes and names by themselves

    @property
    def shape(self) -> str:
        """Text that is another one for feeds that cannot go on where this one ends."""
        return f"{keeping.shape(self)} {self._watch.shape}"

    @property
    def remembering(self) -> list[Remembers]:
        """All that remember something, for `keeping`: the feed and its detectors."""
        return [self, *self._watch.detectors]

    @property
    def listed(self) -> set[int]:
        """The numbers of the last announces of the peers with an account that are listed."""
        return set(self._last)

    @property
    def away(self) -> int:
        """The number of peers that are remembered while they are not listed."""
        return len(self._away)

    def announced(
        self, state: State, seq: int, plain: bytearray, protected: bytearray
    ) -> list[Found]:
        """Hears the announces of a frame after it was applied; the first one is event `seq`.

        `plain`, `protected`: the parts of the frame, in the newest schema; the latter is empty if
        no key decrypted it.
        """
        account_of, found = state.access.account_of, list[Found]()
        for number in range(len(plain) // 80):
            account = packed.u32(account_of, packed.word(plain, number * 80 + 60))
            if not account:  # there are none in public modes
                continue
            last = self._before(packed.wide(plain, number * 80 + 64), plain[number * 80 + 77])
            interval = self._interval(state, seq + number, account, number, plain, protected, last)
            found += self._heard(interval)
            if last is None:
                last = _Last()
            last.enter(interval, packed.wide(plain, number * 80 + 52), len(protected) > 0)
            if interval.event == _stopped:
                found += self._heard(_still(last, seq + number, interval.time_us, True))
            else:
                self._last[seq + number] = last
        return found

    def _before(self, last_seq: int, rule: int) -> _Last | None:
        """Takes out the announce before; None = nothing is known of one."""
        if rule == _rule_first:
            return None
        before = self._last.pop(last_seq, None)
        if before is None and self._away:
            before = self._away.pop(last_seq, None)
        return before

    def _interval(
        self,
        state: State,
        seq: int,
        account: int,
        number: int,
        plain: bytearray,
        protected: bytearray,
        before: _Last | None,
    ) -> Interval:
        """Reads a record of a frame by its number: see `tracker.domain.events.announce`."""
        at = number * 80
        time_us, left = packed.wide(plain, at), packed.wide(plain, at + 52)
        uploaded, downloaded = packed.wide(plain, at + 36), packed.wide(plain, at + 44)
        what, rule = plain[at + 76], plain[at + 77]
        one = Interval.__new__(Interval)
        one.seq, one.time_us, one.account = seq, time_us, account
        one.client, one.event = plain[at + 78] | plain[at + 79] << 8, what & 0x0F
        one.up = one.down = 0
        one.left = None if left == _left_unknown else left
        one.uploaded, one.downloaded = uploaded, downloaded
        one.first, one.refused, one.gone = before is None, False, False
        if before is None:
            one.before_us, one.left_before = time_us, None
            one.info_hash = self._same(packed.piece(plain, at + 8, 20))
        else:
            one.before_us, one.left_before = before.time_us, _left_of(before)
            one.info_hash = before.unowned[0]
            if rule != _rule_restarted:
                one.up = max(0, one.uploaded - before.uploaded)
                one.down = max(0, one.downloaded - before.downloaded)
        if protected:
            hidden = number * 32
            v4 = packed.has_endpoint(protected, _v4_mapped, hidden, 12) and not what & 0x10
            one.address = packed.piece(protected, hidden + 12 * v4, 16 - 12 * v4)
            one.port = protected[hidden + 28] << 8 | protected[hidden + 29]
            one.key = (protected[hidden + 30] | protected[hidden + 31] << 8) or None
        else:
            one.address, one.port, one.key = None, 0, None
        if before is not None and before.named and protected:
            one.peer_id = before.unowned[1]  # one with an account keeps its own
        else:
            one.peer_id = packed.piece(plain, at + 28, 8) + self._end_of(number, protected)
        one.size = size_of(state, one.info_hash)
        self._call(one, before)
        return one

    def _call(self, one: Interval, before: _Last | None) -> None:
        """Gives an interval the names of its peer, those of the announce before where they hold."""
        if before is None or before.name[0] != one.account or before.name[1] != one.peer_id:
            one.name = self._same((one.account, one.peer_id))
            one.peer_id = one.name[1]
            one.peer = one.name[0], one.info_hash, one.peer_id
            one.unowned = one.info_hash, one.peer_id
        else:
            one.name, one.peer, one.unowned = before.name, before.peer, before.unowned

    def _same(self, name: Any) -> Any:
        """Returns an equal name that other peers have, too, or this one."""
        known = self._shared.get(name)
        if known is not None:
            return known
        if len(self._shared) >= MOST_SHARED:
            self._shared.clear()
        self._shared[name] = name
        return name

    def _end_of(self, number: int, protected: bytearray) -> bytes:
        """Returns the hash of the end of a peer_id, zeros where it is not known."""
        if not protected:
            return bytes(12)
        id_end = packed.piece(protected, number * 32 + 16, 12)
        return blake2b(id_end, digest_size=12, key=self._secret).digest()

    def refused(self, state: State, seq: int, record: AnnounceRefused) -> list[Found]:
        """Hears a refused announce."""
        account = state.access.account_of[record.key_ref]
        if account:
            return self._heard(
                Interval(
                    seq=seq, time_us=record.time_us, before_us=record.time_us, account=account,
                    info_hash=record.info_hash, peer_id=bytes(20), address=None, port=0, key=None,
                    client=0, event=events.NONE, up=0, down=0, left=None, left_before=None,
                    uploaded=0, downloaded=0, first=False, refused=True, gone=False,
                    size=size_of(state, record.info_hash),
                )
            )  # fmt: skip
        return []

    def left(self, state: State, seq: int) -> list[Found]:
        """Hears of the peers that the events up to `seq` removed: those in `state.gone`.

        A peer that went to another account leaves the one, and is with the other one as it was.
        """
        gone, state.gone = state.gone or [], []
        found = list[Found]()
        for one in gone:
            last_seq, account = one if isinstance(one, tuple) else (one, 0)
            before = self._last.pop(last_seq, None)
            if before is None:
                continue
            found += self._heard(_still(before, seq, state.time_us, True))
            if account:
                info_hash, peer_id = before.unowned
                before.name, before.peer = (account, peer_id), (account, info_hash, peer_id)
                self._last[last_seq] = before
                found += self._heard(_still(before, seq, state.time_us, False))
            else:
                self._away[last_seq] = before
        return found

    def ticked(self, state: State, seq: int, time_us: int) -> list[Found]:
        """Hears that time passed up to `time_us`, as event `seq` says."""
        found = [(seq, time_us, finding) for finding in self._watch.ticked(time_us)]
        oldest_us = time_us - state.settings.policy.remember_days * events.DAY_US
        while self._away:
            first = next(iter(self._away))
            if self._away[first].time_us >= oldest_us and len(self._away) <= MOST_AWAY:
                break
            del self._away[first]
        return found

    def _heard(self, interval: Interval) -> list[Found]:
        found = self._watch.heard(interval)
        return [(interval.seq, interval.time_us, one) for one in found] if found else _NOTHING


def _left_of(last: _Last) -> int | None:
    return None if last.left == _left_unknown else last.left


def _still(last: _Last, seq: int, time_us: int, gone: bool) -> Interval:
    """Returns an interval in which a peer moved nothing. `gone`: it is no longer listed."""
    left = _left_of(last)
    one = Interval(
        seq=seq, time_us=time_us, before_us=last.time_us, account=last.name[0],
        info_hash=last.unowned[0], peer_id=last.unowned[1], address=None, port=0, key=None,
        client=last.client, event=events.NONE, up=0, down=0, left=left, left_before=left,
        uploaded=last.uploaded, downloaded=last.downloaded, first=False, refused=False, gone=gone,
        size=last.size,
    )  # fmt: skip
    one.name, one.peer, one.unowned = last.name, last.peer, last.unowned
    return one
