"""Finds peers that say they sent or took more than any line carries: "impossible rate"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.domain.detecting.declared import NetworkSet
from tracker.domain.detecting.intervals import CASE, MOST_EVIDENCE, Detector, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.declared import Rates
    from tracker.domain.detecting.intervals import Interval


@frozen
class RateParameters:
    limit: int = 1_250_000_000
    """Bytes a second, up or down, that are still possible: 10 Gbit/s."""
    least_seconds: int = 300
    """Shortest time over which a rate is taken, because clients announce when they please."""
    limits: Rates = ()
    """The limits of some accounts and networks, in the place of `limit`. The highest one holds."""


class _Span:
    """What a peer said since a rate of it was last taken."""

    __slots__ = ("begin_us", "down", "network_limit", "seqs", "up")

    def __init__(self, begin_us: int) -> None:
        self.begin_us = begin_us
        self.up = self.down = 0
        self.network_limit = 0  # the highest of those declared for its networks; 0 = none was
        self.seqs: list[int] = []


class ImpossibleRate(Detector):
    """Takes each peer's rates up and down over at least `least_seconds`."""

    name = "impossible_rate"
    version = 2
    kept = ("_spans",)
    holds: tuple[Any, ...] = (_Span,)

    def __init__(self, parameters: RateParameters | None = None) -> None:
        self.parameters = parameters or RateParameters()
        numbers = self.parameters.limits
        self._of_accounts = {int(who): limit for who, limit in numbers if who.isdecimal()}
        self._of_networks = [
            (NetworkSet([who]), limit) for who, limit in numbers if not who.isdecimal()
        ]
        self._least_us = self.parameters.least_seconds * 1_000_000
        self._spans: dict[tuple[int, bytes, bytes], _Span] = {}

    def heard(self, interval: Interval) -> Iterable[Finding]:
        if interval.refused:
            return ()
        who = interval.peer
        span = self._spans.pop(who, None) if self._spans else None
        if interval.first:
            span = None
        elif span is None and self._is_usual(interval):
            return ()
        if span is None:
            span = _Span(interval.before_us)
        span.up += interval.up
        span.down += interval.down
        span.network_limit = max(span.network_limit, self._network_limit(interval.address))
        span.seqs = [*span.seqs[1 - MOST_EVIDENCE :], interval.seq]
        if interval.time_us - span.begin_us >= self._least_us:
            return self._judge(interval, span)
        if not interval.gone:
            self._spans[who] = span
        return ()

    def _is_usual(self, interval: Interval) -> bool:
        """Tells whether an interval alone shows rates that are possible, as most do. One in which
        a peer only went shows none.
        """
        if interval.gone and not interval.up and not interval.down:
            return True
        length_us = interval.time_us - interval.before_us
        if length_us < self._least_us:
            return False
        most = max(interval.up, interval.down)
        return not most or most * 1_000_000 // length_us <= self.parameters.limit

    def _network_limit(self, address: bytes | None) -> int:
        if not self._of_networks or address is None:
            return 0
        return max([limit for who, limit in self._of_networks if who.has(address)], default=0)

    def _limit(self, account: int, network_limit: int) -> int:
        usual: int = self.parameters.limit
        return max(self._of_accounts.get(account, 0), network_limit) or usual

    def _judge(self, interval: Interval, span: _Span) -> Iterable[Finding]:
        length_us = interval.time_us - span.begin_us
        up, down = (each * 1_000_000 // length_us for each in (span.up, span.down))
        if max(up, down) <= self.parameters.limit or max(up, down) <= (
            limit := self._limit(interval.account, span.network_limit)
        ):
            return ()
        facts = {
            "up": span.up, "down": span.down, "seconds": length_us // 1_000_000,
            "limit": limit,
        }  # fmt: skip
        return (
            Finding(
                self.name, CASE, interval.account, interval.info_hash, span.begin_us,
                interval.time_us, max(up, down), "bytes_per_second", tuple(span.seqs), facts,
            ),
        )  # fmt: skip
