"""Finds accounts that load from many networks at the same time: several people share them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.domain.detecting.declared import NetworkSet
from tracker.domain.detecting.intervals import CASE, LEAD, MOST_EVIDENCE, Detector, Finding
from tracker.domain.events import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.domain.detecting.intervals import Interval


MOST_NETWORKS, MOST_LOADED = 16, 64
"""The most networks of an account, and torrents of each, that are remembered: of further ones the
oldest are forgotten.
"""


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
    """Each network must have loaded so many torrents in that time that no other loaded, and in
    the last day.
    """
    days: int = 30
    """Networks of which any two were once in use at the same time in so many days are compared by
    all that they loaded in these days, because people who share an account may load little.
    """
    networks_in_days: int = 3
    """So many of those are a lead, and never a case."""
    again_seconds: int = 86_400
    """Time until the same is found again."""
    shared: tuple[str, ...] = ()
    """Networks that many people share, such as those of a VPN: left out."""


class _Use:
    """The use of a network by an account."""

    __slots__ = ("begin_us", "last_us", "loaded", "met", "network")

    def __init__(self, network: bytes, time_us: int) -> None:
        self.network = network
        self.begin_us = self.last_us = time_us  # without a pause
        self.loaded: dict[bytes, tuple[int, int]] = {}  # by torrent: time and seq of the last
        self.met: dict[bytes, int] = {}  # networks in use at the same time, and when that was


class ManyNetworks(Detector):
    """Counts networks by what they loaded, because cross-seeds and own uploads load nothing.

    IPv4 and IPv6 are counted by themselves: one line has a network of each. Networks are held as
    they are, because the index of stays shows them for ever, too.
    """

    name = "many_networks"
    version = 1
    kept = ("_uses", "_found", "_day")
    holds: tuple[Any, ...] = (_Use,)

    def __init__(self, parameters: NetworkParameters | None = None) -> None:
        self.parameters = parameters or NetworkParameters()
        to = self.parameters
        self._pause_us = to.pause_seconds * 1_000_000
        self._intervals_us = to.intervals * to.interval_seconds * 1_000_000
        self._torrents, self._least = to.torrents, min(to.lead_networks, to.networks_in_days)
        self._shared = NetworkSet(self.parameters.shared)
        # By account and network, at most `MOST_NETWORKS`; the one that was new last comes last.
        self._uses: dict[int, dict[bytes, _Use]] = {}
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
        if use is None:
            if self._shared.has(interval.address):
                return ()
            use = uses[network] = _Use(network, time_us)
            if len(uses) > MOST_NETWORKS:
                del uses[next(iter(uses))]
        elif time_us - use.last_us > self._pause_us:
            use.begin_us = time_us
        use.last_us = time_us
        if not interval.down and (interval.left_before or 0) <= (interval.left or 0):
            return ()
        use.loaded.pop(interval.info_hash, None)
        use.loaded[interval.info_hash] = time_us, interval.seq
        if len(use.loaded) > MOST_LOADED:
            del use.loaded[next(iter(use.loaded))]
        return self._judge(interval, use, uses) if len(uses) > 1 else ()

    def ticked(self, time_us: int) -> Iterable[Finding]:
        if time_us // DAY_US != self._day:
            self._day = time_us // DAY_US
            since_us = time_us - self.parameters.days * DAY_US
            for account, uses in list(self._uses.items()):
                for use in uses.values():
                    use.loaded = {n: at for n, at in use.loaded.items() if at[0] > since_us}
                    use.met = {n: us for n, us in use.met.items() if us > since_us}
                kept = {name: use for name, use in uses.items() if use.last_us > since_us}
                if kept:
                    self._uses[account] = kept
                else:
                    del self._uses[account]
            found = self._found.items()
            self._found = {account: last for account, last in found if last[1] > since_us}
        return ()

    def _judge(self, interval: Interval, own: _Use, uses: dict[bytes, _Use]) -> Iterable[Finding]:
        """Judges the networks that are in use now, and those that were in the last days."""
        time_us, size = interval.time_us, len(own.network)
        alike, able, until_us = list[_Use](), 0, time_us
        for use in uses.values():
            if len(use.network) == size:
                alike.append(use)
                able += len(use.loaded) >= self._torrents
                if time_us - self._pause_us <= use.last_us < until_us:
                    until_us = use.last_us
        latest_us, old = until_us - self._intervals_us, list[_Use]()
        for use in alike:
            if use.last_us >= time_us - self._pause_us and use.begin_us <= latest_us:
                old.append(use)
        if len(old) < 2 and not own.met:
            return ()
        for use in old if own in old else ():
            if use is not own:
                use.met[own.network] = own.met[use.network] = time_us
        if able < self._least:
            return ()
        return self._compare(interval, own, uses, alike, old)

    def _compare(
        self,
        interval: Interval,
        own: _Use,
        uses: dict[bytes, _Use],
        alike: list[_Use],
        old: list[_Use],
    ) -> Iterator[Finding]:
        """Compares what networks loaded: those in use, and all of the last days."""
        to, time_us = self.parameters, interval.time_us
        since_us = max(time_us - DAY_US, max([use.begin_us for use in old], default=0))
        loaded = _alone(old, since_us, to.torrents)
        if len(loaded) >= to.lead_networks:
            grade = CASE if len(loaded) >= to.case_networks else LEAD
            yield from self._find(interval, loaded, since_us, grade)
        since_us = time_us - to.days * DAY_US
        loaded = _alone(alike, since_us, to.torrents)
        met = _met(own.network, {name: uses[name].met for name in loaded})
        if len(met) >= to.networks_in_days:
            yield from self._find(interval, {name: loaded[name] for name in met}, since_us, LEAD)

    def _find(
        self, interval: Interval, loaded: dict[bytes, list[int]], since_us: int, grade: int
    ) -> Iterable[Finding]:
        """Yields what networks show that loaded what these announces say."""
        to, time_us, account = self.parameters, interval.time_us, interval.account
        before, before_us = self._found.get(account, (0, 0))
        if before >= grade and time_us - before_us < to.again_seconds * 1_000_000:
            return
        self._found[account] = grade, time_us
        seqs = sorted(seq for each in loaded.values() for seq in each)
        facts = {"networks": len(loaded), "seconds": (time_us - since_us) // 1_000_000}
        yield Finding(
            self.name, grade, account, None, since_us, time_us, len(loaded), "networks",
            tuple(seqs[-MOST_EVIDENCE:]), facts,
        )  # fmt: skip


def _alone(uses: Iterable[_Use], since_us: int, least: int) -> dict[bytes, list[int]]:
    """Returns by network the seqs of what it alone loaded, where that are `least` torrents."""
    loaded = {
        use.network: {torrent: seq for torrent, (us, seq) in use.loaded.items() if us >= since_us}
        for use in uses
    }
    times = Counter(torrent for torrents in loaded.values() for torrent in torrents)
    alone = {
        network: [seq for torrent, seq in torrents.items() if times[torrent] == 1]
        for network, torrents in loaded.items()
    }
    return {network: seqs for network, seqs in alone.items() if len(seqs) >= least}


def _met(own: bytes, met: dict[bytes, dict[bytes, int]]) -> list[bytes]:
    """Returns networks of which any two met, `own` among them. That are not always the most: the
    one that met most others comes first, and each further one met all those before it.
    """
    if own not in met:
        return []
    chosen = [own]
    for network in sorted(met, key=lambda each: (-len(met[each]), each)):
        if all(network in met[each] for each in chosen):
            chosen.append(network)
    return chosen
