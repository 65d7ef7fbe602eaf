"""Holds all detectors, and lets each of them hear everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain.detecting import keeping
from tracker.domain.detecting.addresses import AddressParameters, SharedAddress
from tracker.domain.detecting.alone import UploadWithoutLeechers
from tracker.domain.detecting.holding import MoreThanTorrentHolds
from tracker.domain.detecting.identities import AnotherClient, SharedPeerId
from tracker.domain.detecting.leeching import GhostLeech
from tracker.domain.detecting.networks import ManyNetworks, NetworkParameters
from tracker.domain.detecting.rates import ImpossibleRate, RateParameters
from tracker.domain.detecting.received import UploadBeyondReceived
from tracker.domain.detecting.steady import ConstantRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tracker.domain.detecting.addresses import Hide
    from tracker.domain.detecting.declared import Declared
    from tracker.domain.detecting.intervals import Detector, Finding, Interval

DETECTORS: tuple[Callable[[], Detector], ...] = (
    UploadBeyondReceived,
    GhostLeech,
    ImpossibleRate,
    MoreThanTorrentHolds,
    UploadWithoutLeechers,
    ManyNetworks,
    SharedPeerId,
    AnotherClient,
    SharedAddress,
    ConstantRate,
)
"""Makes each detector with its default parameters, in the order in which lists show them."""


class Watch:
    """The detectors of one replay."""

    @classmethod
    def of(cls, declared: Declared, hide: Hide) -> Watch:
        """Returns one of each of `DETECTORS`, which know what the site declared. `hide` hashes
        addresses that they compare over a while.
        """
        told: dict[Callable[[], Detector], Detector] = {
            ImpossibleRate: ImpossibleRate(RateParameters(limits=declared.rates)),
            ManyNetworks: ManyNetworks(NetworkParameters(shared=declared.shared)),
            SharedAddress: SharedAddress(AddressParameters(shared=declared.shared), hide),
        }
        return cls([told.get(make) or make() for make in DETECTORS])

    def __init__(self, detectors: Sequence[Detector] | None = None) -> None:
        """`detectors`: None = one of each of `DETECTORS`."""
        self.detectors = [make() for make in DETECTORS] if detectors is None else list(detectors)

    @property
    def shape(self) -> str:
        """Text that is another one for other detectors, or others of their parameters."""
        return " ".join(map(keeping.shape, self.detectors))

    def heard(self, interval: Interval) -> list[Finding]:
        """Passes an interval on to each detector. Returns what they found."""
        found: list[Finding] = []
        for detector in self.detectors:
            shown = detector.heard(interval)
            if shown:
                found.extend(shown)
        return found

    def ticked(self, time_us: int) -> Iterator[Finding]:
        """Passes on what time it is. Yields what they found."""
        for detector in self.detectors:
            yield from detector.ticked(time_us)
