"""Finds peers that say they send at one rate all the time, as programs do that make numbers up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.domain.detecting.intervals import LEAD, MOST_EVIDENCE, Detector, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval


@frozen
class SteadyParameters:
    windows: int = 12
    """Windows one after another with the same rate."""
    within_percent: int = 1
    """Percent by which the rate of each may differ from that of the first."""
    least_seconds: int = 300
    """A shorter window shows no rate, and does not count."""


class _Run:
    __slots__ = ("begin_us", "rate", "seqs")

    def __init__(self, begin_us: int, rate: int) -> None:
        self.begin_us, self.rate = begin_us, rate
        self.seqs: list[int] = []


class ConstantRate(Detector):
    """Follows the rate of each peer that sends. A client with a limit does the same: a lead."""

    name = "constant_rate"
    version = 1
    kept = ("_runs",)
    holds: tuple[Any, ...] = (_Run,)

    def __init__(self, parameters: SteadyParameters | None = None) -> None:
        self.parameters = parameters or SteadyParameters()
        self._least_us = self.parameters.least_seconds * 1_000_000
        self._runs: dict[tuple[int, bytes, bytes], _Run] = {}  # of peers that are listed and send

    def heard(self, interval: Interval) -> Iterable[Finding]:
        if interval.refused or (not interval.up and not self._runs):
            return ()
        peer = interval.peer
        if not interval.up or interval.gone:
            self._runs.pop(peer, None)
            return ()
        length_us = interval.time_us - interval.before_us
        if length_us < self._least_us or not interval.account:
            return ()
        run, rate = self._runs.get(peer), interval.up * 1_000_000 // length_us
        if run is None or abs(rate - run.rate) * 100 > self.parameters.within_percent * run.rate:
            run = self._runs[peer] = _Run(interval.before_us, rate)
        if len(run.seqs) < self.parameters.windows:
            run.seqs.append(interval.seq)
            if len(run.seqs) == self.parameters.windows:
                return (self._find(interval, run),)
        return ()

    def _find(self, interval: Interval, run: _Run) -> Finding:
        return Finding(
            self.name, LEAD, interval.account, interval.info_hash, run.begin_us, interval.time_us,
            run.rate, "bytes_per_second", tuple(run.seqs[-MOST_EVIDENCE:]),
            {"windows": len(run.seqs), "rate": run.rate},
        )  # fmt: skip
