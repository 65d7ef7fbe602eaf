"""Makes intervals from the events of a replay, and has the detectors hear them.

It knows peers by the numbers of their last announces, which each announce of the log names. So it
needs no addresses, and sees the same peers as the state.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import events
from tracker.domain.detecting import keeping
from tracker.domain.detecting.intervals import Interval
from tracker.domain.events.announce import V4_MAPPED
from tracker.domain.judging import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.domain.detecting.intervals import Finding
    from tracker.domain.detecting.watch import Watch
    from tracker.domain.events.announce import Plain, Private
    from tracker.domain.events.records import AnnounceRefused
    from tracker.domain.state import State

Found = tuple[int, int, "Finding"]
"""A finding, behind the number and the log time of the event that showed it."""

MOST_AWAY = 1_000_000
"""The most peers that are remembered while they are away, about 0.5 kB each. Of further ones the
oldest are forgotten: what they announce next counts as their first announce.
"""


class _Last(NamedTuple):
    """The last announce of a peer."""

    time_us: int
    account: int
    info_hash: bytes
    peer_id: bytes
    client: int
    left: int | None
    uploaded: int
    downloaded: int
    size: int


class Feed:
    """Remembers the last announce of each peer with an account, without its address."""

    version = 1
    kept = ("_last", "_away", "_secret")
    holds: tuple[Any, ...] = (_Last,)

    def __init__(self, watch: Watch, secret: bytes = b"") -> None:
        """`secret`: up to 64 random bytes, under which the ends of peer_ids are hashed."""
        self._watch, self._secret = watch, secret
        self._last: dict[int, _Last] = {}  # by its number
        self._away: dict[int, _Last] = {}  # of peers that may come back; the oldest first

    @property
    def shape(self) -> str:
        """Text that is another one for feeds that cannot go on where this one ends."""
        return f"{keeping.shape(self)} {self._watch.shape}"

    def as_data(self) -> dict[str, Any]:
        """Returns what the feed and its detectors remember."""
        return {"feed": keeping.as_data(self), "detectors": self._watch.as_data()}

    def restore(self, data: dict[str, Any]) -> None:
        """Has them remember what `as_data` returned. Raises anything for other data, and then
        nothing has changed.
        """
        keeping.restore([(self, data["feed"]), *self._watch.paired(data["detectors"])])

    @property
    def listed(self) -> set[int]:
        """The numbers of the last announces of the peers with an account that are listed."""
        return set(self._last)

    @property
    def away(self) -> int:
        """The number of peers that are remembered while they are not listed."""
        return len(self._away)

    def announced(
        self, state: State, seq: int, rows: Iterable[tuple[Plain, Private | None]]
    ) -> Iterator[Found]:
        """Hears the announces of a frame after it was applied; the first one is event `seq`."""
        for number, (plain, private) in enumerate(rows, seq):
            account = state.access.account_of[plain[6]]
            if not account:  # there are none in public modes
                continue
            interval = self._interval(state, number, account, plain, private)
            yield from self._heard(interval)
            if interval.event == events.STOPPED:
                yield from self._heard(_gone(_last(interval), number, interval.time_us))
            else:
                self._last[number] = _last(interval)

    def _interval(
        self, state: State, seq: int, account: int, plain: Plain, private: Private | None
    ) -> Interval:
        time_us, info_hash, id_begin, uploaded, downloaded, left, _, last_seq, _, _, _, what = (
            plain[:12]
        )
        rule, client = plain[12:]
        before = None
        if rule != events.RULE_FIRST:
            before = self._last.pop(last_seq, None) or self._away.pop(last_seq, None)
        goes_on = before is not None and rule != events.RULE_RESTARTED
        address, port, key, hidden_end = None, 0, None, bytes(12)
        if private is not None:
            packed, id_end, port_bytes, hashed = private
            hidden_end = blake2b(id_end, digest_size=12, key=self._secret).digest()
            v6 = what >> 4 & 1
            address = packed if v6 or packed[:12] != V4_MAPPED else packed[12:]
            port, key = int.from_bytes(port_bytes, "big"), hashed or None
        return Interval(
            seq=seq, time_us=time_us, before_us=before.time_us if before else time_us,
            account=account, info_hash=info_hash, peer_id=id_begin + hidden_end, address=address,
            port=port, key=key, client=client, event=what & 0x0F,
            up=max(0, uploaded - before.uploaded) if before and goes_on else 0,
            down=max(0, downloaded - before.downloaded) if before and goes_on else 0,
            left=None if left == events.LEFT_UNKNOWN else left,
            left_before=before.left if before else None,
            uploaded=uploaded, downloaded=downloaded, first=before is None, refused=False,
            gone=False, size=size_of(state, info_hash),
        )  # fmt: skip

    def refused(self, state: State, seq: int, record: AnnounceRefused) -> Iterator[Found]:
        """Hears a refused announce."""
        account = state.access.account_of[record.key_ref]
        if account:
            yield from self._heard(
                Interval(
                    seq=seq, time_us=record.time_us, before_us=record.time_us, account=account,
                    info_hash=record.info_hash, peer_id=bytes(20), address=None, port=0, key=None,
                    client=0, event=events.NONE, up=0, down=0, left=None, left_before=None,
                    uploaded=0, downloaded=0, first=False, refused=True, gone=False,
                    size=size_of(state, record.info_hash),
                )
            )  # fmt: skip

    def left(self, state: State, seq: int) -> Iterator[Found]:
        """Hears of the peers that the events up to `seq` removed: those in `state.gone`."""
        gone, state.gone = state.gone or [], []
        for last_seq in gone:
            before = self._last.pop(last_seq, None)
            if before is not None:
                self._away[last_seq] = before
                yield from self._heard(_gone(before, seq, state.time_us))

    def ticked(self, state: State, seq: int) -> Iterator[Found]:
        """Hears that time passed, up to that of the state."""
        time_us = state.time_us
        yield from ((seq, time_us, finding) for finding in self._watch.ticked(time_us))
        oldest_us = time_us - state.settings.policy.remember_days * events.DAY_US
        while self._away:
            first = next(iter(self._away))
            if self._away[first].time_us >= oldest_us and len(self._away) <= MOST_AWAY:
                return
            del self._away[first]

    def _heard(self, interval: Interval) -> Iterator[Found]:
        seq, time_us = interval.seq, interval.time_us
        return ((seq, time_us, finding) for finding in self._watch.heard(interval))


def _last(one: Interval) -> _Last:
    return _Last(
        one.time_us, one.account, one.info_hash, one.peer_id, one.client, one.left, one.uploaded,
        one.downloaded, one.size,
    )  # fmt: skip


def _gone(last: _Last, seq: int, time_us: int) -> Interval:
    return Interval(
        seq=seq, time_us=time_us, before_us=last.time_us, account=last.account,
        info_hash=last.info_hash, peer_id=last.peer_id, address=None, port=0, key=None,
        client=last.client, event=events.NONE, up=0, down=0, left=last.left, left_before=last.left,
        uploaded=last.uploaded, downloaded=last.downloaded, first=False, refused=False, gone=True,
        size=last.size,
    )  # fmt: skip
