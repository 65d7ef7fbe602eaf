"""Finds accounts that load from many networks at the same time: several people share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from tracker.domain.detecting.declared import NetworkSet
from tracker.domain.detecting.intervals import CASE, LEAD, MOST_EVIDENCE, Finding
from tracker.domain.events import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval


def network_of(address: bytes) -> bytes:
    """Returns the network of an address of 4 or 16 bytes: the bytes of its /24 or /48."""
    return address[:3] if len(address) == 4 else address[:6]


@frozen
class NetworkParameters:
    lead_networks: int = 2
    case_networks: int = 3
    intervals: int = 3
    """Announce intervals for which the networks must be in use at the same time."""
    interval_seconds: int = 1800
    pause_seconds: int = 5400
    """A network is in use until this time passes without an announce from it."""
    torrents: int = 2
    """Each network must have loaded so many torrents in that time that no other loaded."""
    again_seconds: int = 86_400
    """Time until the same is found again."""
    shared: tuple[str, ...] = ()
    """Networks that many people share, such as those of a VPN: left out."""


class _Use:
    """The use of a network by an account, without a pause."""

    __slots__ = ("begin_us", "last_us", "loaded")

    def __init__(self, time_us: int) -> None:
        self.begin_us = self.last_us = time_us
        self.loaded: dict[bytes, tuple[int, int]] = {}  # by torrent: time and seq of the last


class ManyNetworks:
    """Counts networks by what they loaded, because cross-seeds and own uploads load nothing.

    IPv4 and IPv6 are counted by themselves: one line has a network of each.
    """

    name = "many_networks"

    def __init__(self, parameters: NetworkParameters | None = None) -> None:
        self.parameters = parameters or NetworkParameters()
        self._shared = NetworkSet(self.parameters.shared)
        self._uses: dict[int, dict[bytes, _Use]] = {}  # by account and network
        self._found: dict[int, tuple[int, int]] = {}  # grade and time of the last
        self._day = 0

    def heard(self, interval: Interval) -> Iterable[Finding]:
        if not interval.address or interval.gone or not interval.account:
            return ()
        uses = self._uses.get(interval.account)
        if uses is None:
            uses = self._uses[interval.account] = {}
        network, time_us = network_of(interval.address), interval.time_us
        use = uses.get(network)
        pause_us = self.parameters.pause_seconds * 1_000_000
        if use is None or time_us - use.last_us > pause_us:
            if self._shared.has(interval.address):
                return ()
            use = uses[network] = _Use(time_us)
        use.last_us = time_us
        if not interval.down and (interval.left_before or 0) <= (interval.left or 0):
            return ()
        use.loaded[interval.info_hash] = time_us, interval.seq
        return self._judge(interval, uses) if len(uses) > 1 else ()

    def ticked(self, time_us: int) -> Iterable[Finding]:
        if time_us // DAY_US != self._day:
            self._day = time_us // DAY_US
            for account, uses in list(self._uses.items()):
                kept = {name: use for name, use in uses.items() if use.last_us > time_us - DAY_US}
                for use in kept.values():
                    for name in [n for n, at in use.loaded.items() if at[0] <= time_us - DAY_US]:
                        del use.loaded[name]
                if kept:
                    self._uses[account] = kept
                else:
                    del self._uses[account]
        return ()

    def _judge(self, interval: Interval, uses: dict[bytes, _Use]) -> Iterable[Finding]:
        to, time_us, account = self.parameters, interval.time_us, interval.account
        family = len(network_of(interval.address or b""))
        recent_us = time_us - to.pause_seconds * 1_000_000
        uses_now = [u for n, u in uses.items() if len(n) == family and u.last_us >= recent_us]
        until_us = min(use.last_us for use in uses_now)
        latest_us = until_us - to.intervals * to.interval_seconds * 1_000_000
        old = [use for use in uses_now if use.begin_us <= latest_us]
        since_us = max((use.begin_us for use in old), default=0)
        loaded = [{t for t, at in use.loaded.items() if at[0] >= since_us} for use in old]
        seqs, networks = [], 0
        for use, own in zip(old, loaded, strict=True):
            alone = own.difference(*(each for each in loaded if each is not own))
            if len(alone) >= to.torrents:
                networks += 1
                seqs += [use.loaded[torrent][1] for torrent in alone]
        if networks < to.lead_networks:
            return ()
        grade = CASE if networks >= to.case_networks else LEAD
        before, before_us = self._found.get(account, (0, 0))
        if before >= grade and time_us - before_us < to.again_seconds * 1_000_000:
            return ()
        self._found[account] = grade, time_us
        facts = {"networks": networks, "seconds": (time_us - since_us) // 1_000_000}
        return (
            Finding(
                self.name, grade, account, None, since_us, time_us, networks, "networks",
                tuple(sorted(seqs)[-MOST_EVIDENCE:]), facts,
            ),
        )  # fmt: skip
