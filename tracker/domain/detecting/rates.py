"""Finds peers that say they sent or took more than any line carries: "impossible rate"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import frozen

from tracker.domain.detecting.declared import NetworkSet
from tracker.domain.detecting.intervals import CASE, MOST_EVIDENCE, Finding

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


class _Span(NamedTuple):
    """What a peer said since a rate of it was last taken."""

    begin_us: int
    time_us: int
    up: int
    down: int
    network_limit: int  # the highest of those declared for the networks it was in; 0 = none was
    seqs: tuple[int, ...]


class ImpossibleRate:
    """Takes each peer's rates up and down over at least `least_seconds`."""

    name = "impossible_rate"
    version = 1
    kept = ("_spans",)
    holds: tuple[Any, ...] = (_Span,)

    def __init__(self, parameters: RateParameters | None = None) -> None:
        self.parameters = parameters or RateParameters()
        numbers = self.parameters.limits
        self._of_accounts = {int(who): limit for who, limit in numbers if who.isdecimal()}
        self._of_networks = [
            (NetworkSet([who]), limit) for who, limit in numbers if not who.isdecimal()
        ]
        self._spans: dict[tuple[int, bytes, bytes], _Span] = {}

    def heard(self, interval: Interval) -> Iterable[Finding]:
        if interval.refused:
            return ()
        who = interval.account, interval.info_hash, interval.peer_id
        span = self._spans.pop(who, None)
        if interval.first:
            span = None
        if span is None:
            span = _Span(interval.before_us, interval.before_us, 0, 0, 0, ())
        span = _Span(
            span.begin_us, interval.time_us, span.up + interval.up, span.down + interval.down,
            max([span.network_limit, *self._network_limits(interval.address)]),
            (*span.seqs, interval.seq)[-MOST_EVIDENCE:],
        )  # fmt: skip
        if span.time_us - span.begin_us < self.parameters.least_seconds * 1_000_000:
            if not interval.gone:
                self._spans[who] = span
            return ()
        return self._judge(interval, span)

    def ticked(self, time_us: int) -> Iterable[Finding]:  # noqa: ARG002  # the interface's name
        return ()

    def _network_limits(self, address: bytes | None) -> Iterable[int]:
        if not self._of_networks or address is None:
            return ()
        return [limit for who, limit in self._of_networks if who.has(address)]

    def _limit(self, account: int, network_limit: int) -> int:
        return max(self._of_accounts.get(account, 0), network_limit) or self.parameters.limit

    def _judge(self, interval: Interval, span: _Span) -> Iterable[Finding]:
        length_us = span.time_us - span.begin_us
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
                self.name, CASE, interval.account, interval.info_hash, span.begin_us, span.time_us,
                max(up, down), "bytes_per_second", span.seqs, facts,
            ),
        )  # fmt: skip
