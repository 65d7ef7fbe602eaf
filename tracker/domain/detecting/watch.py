"""Holds all detectors, and lets each of them hear everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain.detecting.rates import ImpossibleRate
from tracker.domain.detecting.received import UploadBeyondReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracker.domain.detecting.intervals import Detector, Finding, Interval

DETECTORS: tuple[Callable[[], Detector], ...] = (
    UploadBeyondReceived,
    ImpossibleRate,
)
"""Makes each detector with its default parameters, in the order in which lists show them."""


class Watch:
    """The detectors of one replay."""

    def __init__(self, detectors: Sequence[Detector] | None = None) -> None:
        """`detectors`: None = one of each of `DETECTORS`."""
        self.detectors = [make() for make in DETECTORS] if detectors is None else list(detectors)

    def heard(self, interval: Interval) -> Iterator[Finding]:
        """Passes an interval on to each detector. Yields what they found."""
        for detector in self.detectors:
            yield from detector.heard(interval)

    def ticked(self, time_us: int) -> Iterator[Finding]:
        """Passes on what time it is. Yields what they found."""
        for detector in self.detectors:
            yield from detector.ticked(time_us)
