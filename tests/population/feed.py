"""Turns announces into intervals, as the tracker's own feed does, without a tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attrs import define, field

from tracker.domain import events
from tracker.domain.detecting.intervals import Finding, Interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.population.simulator import Announce
    from tracker.domain.detecting.watch import Watch

SECOND = 1_000_000  # microseconds
TICK_US = 60 * SECOND
TIMEOUT_US = 5400 * SECOND  # a peer that is silent for so long is no longer listed

Key = tuple[int, bytes, bytes]
"""A peer: account, info hash, peer_id."""


class Said(NamedTuple):
    """What a peer announced last, and as which event of the log."""

    seq: int
    one: Announce


@define
class Feed:
    """Feeds a watch.

    `sizes`: bytes of each torrent, as the site declares them. `outages`: begin and end, log time.
    While the tracker is down, no time passes for a silent peer.
    """

    watch: Watch
    sizes: dict[bytes, int]
    outages: list[tuple[int, int]] = field(factory=list)
    seq: int = 0
    ticked_us: int = 0
    _listed: dict[Key, Said] = field(factory=dict)  # the most silent first

    def announced(self, one: Announce) -> Iterator[Finding]:
        """Passes an announce on, and what time has brought until then. Yields what that shows."""
        if one.time_us >= self.ticked_us + TICK_US:
            yield from self.ticked(one.time_us)
        self.seq += 1
        key = one.account, one.info_hash, one.peer_id
        before = self._listed.pop(key, None)
        now = Said(self.seq, one)
        yield from self.watch.heard(self._interval(now, before))
        if one.event == events.STOPPED:
            yield from self.watch.heard(self._gone(now, one.time_us, self.seq))
        else:
            self._listed[key] = now

    def ticked(self, time_us: int) -> Iterator[Finding]:
        """Lets time pass: removes silent peers, and ticks. Yields what that shows."""
        self.ticked_us = time_us
        self.seq += 1
        resumed = max((end for _, end in self.outages if end <= time_us), default=0)
        while self._listed:
            key, said = next(iter(self._listed.items()))
            if max(said.one.time_us, resumed) + TIMEOUT_US > time_us:
                break
            del self._listed[key]
            yield from self.watch.heard(self._gone(said, time_us, self.seq))
        yield from self.watch.ticked(time_us)

    def _interval(self, now: Said, before: Said | None) -> Interval:
        one, last = now.one, before.one if before else None
        up = one.uploaded - last.uploaded if last else 0
        down = one.downloaded - last.downloaded if last else 0
        if up < 0 or down < 0:
            up = down = 0  # it began anew
        return Interval(
            now.seq, one.time_us, last.time_us if last else one.time_us, one.account,
            one.info_hash, one.peer_id, one.address, one.port, one.key & 0xFFFF, one.client,
            one.event, up, down, one.left, last.left if last else None, one.uploaded,
            one.downloaded, last is None, False, False, self.sizes[one.info_hash],
        )  # fmt: skip

    def _gone(self, last: Said, time_us: int, seq: int) -> Interval:
        one = last.one
        return Interval(
            seq, time_us, one.time_us, one.account, one.info_hash, one.peer_id, one.address,
            one.port, one.key & 0xFFFF, one.client, events.NONE, 0, 0, one.left, one.left,
            one.uploaded, one.downloaded, False, False, True, self.sizes[one.info_hash],
        )  # fmt: skip
