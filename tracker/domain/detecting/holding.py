"""Finds members who say they sent more than all leechers of a torrent could take."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.domain.detecting.intervals import CASE, LEAD, Detector, Finding
from tracker.domain.detecting.outages import Outages
from tracker.domain.events import COMPLETED, DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval


@frozen
class HoldingParameters:
    overhead_percent: int = 110
    """Percent of the torrent's size that each leecher takes at most."""
    step_percent: int = 10
    """Percent of the size beyond all that, for which there is a finding, and each time again."""
    case_bytes: int = 1 << 30
    """A case has at least so many bytes beyond, in one torrent."""
    silent_days: int = 7
    """Days for which leechers that went count as seen, and what a member sent is remembered."""


class _Member:
    """What a member sent in a torrent."""

    __slots__ = ("begin_us", "leechers", "sent", "sent_us", "told")

    def __init__(self, interval: Interval, leechers: int) -> None:
        self.begin_us = interval.before_us
        self.leechers = leechers  # of those of the torrent, that it cannot have met
        self.sent = self.told = 0  # bytes; of `told` beyond what leechers take there are findings
        self.sent_us = 0  # when it sent something last


class _Swarm:
    __slots__ = ("leechers", "members", "present", "went")

    def __init__(self) -> None:
        self.leechers = 0  # that ever came, or began anew
        self.present: set[tuple[int, bytes]] = set()  # leechers, by account and peer_id
        self.went: deque[int] = deque()  # when leechers went or were complete, in the last days
        self.members: dict[int, _Member] = {}


class MoreThanTorrentHolds(Detector):
    """Compares what a member sent in a torrent with its size and the leechers that were seen."""

    name = "more_than_torrent_holds"
    version = 1
    kept = ("_swarms", "_outages", "_day")
    holds: tuple[Any, ...] = (_Swarm, _Member, Outages)

    def __init__(self, parameters: HoldingParameters | None = None) -> None:
        self.parameters = parameters or HoldingParameters()
        self._keep_us = self.parameters.silent_days * DAY_US
        self._swarms: dict[bytes, _Swarm] = {}
        self._outages = Outages()
        self._day = 0

    def heard(self, interval: Interval) -> Iterable[Finding]:
        left, before, up = interval.left, interval.left_before, interval.up
        if interval.refused or (left == 0 == before and not up):
            return ()
        swarm = self._swarms.get(interval.info_hash)
        if swarm is None:
            swarm = self._swarms[interval.info_hash] = _Swarm()
        name = interval.name
        unseen = interval.first and interval.event == COMPLETED
        if left == 0 or interval.gone:
            if unseen:
                self._came(interval, swarm)
            if unseen or name in swarm.present:
                swarm.present.discard(name)
                swarm.went.append(interval.time_us)
        elif name not in swarm.present:
            swarm.present.add(name)
            self._came(interval, swarm)
        elif before is not None and left is not None and left > before:  # it began anew
            swarm.went.append(interval.time_us)
            self._came(interval, swarm)
        if up and interval.account and interval.size:
            return self._sent(interval, swarm)
        return ()

    def ticked(self, time_us: int) -> Iterable[Finding]:
        self._outages.ticked(time_us)
        if time_us // DAY_US != self._day:
            self._day = time_us // DAY_US
            self._forget(time_us - self._keep_us)
        return ()

    def _came(self, interval: Interval, swarm: _Swarm) -> None:
        swarm.leechers += 1
        if interval.account in swarm.members:
            swarm.members[interval.account].leechers += 1

    def _sent(self, interval: Interval, swarm: _Swarm) -> Iterable[Finding]:
        to, account = self.parameters, interval.account
        since_us = max(self._outages.last_us(interval.time_us), interval.time_us - self._keep_us)
        if interval.before_us < since_us:
            return ()
        member = swarm.members.get(account)
        if member is None:
            own = sum(name[0] == account for name in swarm.present)
            met = len(swarm.present) - own + len(swarm.went)
            member = swarm.members[account] = _Member(interval, swarm.leechers - met)
        member.sent += interval.up
        member.sent_us = interval.time_us
        leechers = swarm.leechers - member.leechers
        beyond = member.sent - leechers * interval.size * to.overhead_percent // 100
        if (beyond - member.told) * 100 < max(interval.size, 1) * to.step_percent:
            return ()
        amount, member.told = beyond - member.told, beyond
        facts = {"sent": member.sent, "leechers": leechers, "size": interval.size, "beyond": beyond}
        return (
            Finding(
                self.name, CASE if beyond >= to.case_bytes else LEAD, account, interval.info_hash,
                member.begin_us, interval.time_us, amount, "bytes", (interval.seq,), facts,
            ),
        )  # fmt: skip

    def _forget(self, since_us: int) -> None:
        for info_hash, swarm in list(self._swarms.items()):
            while swarm.went and swarm.went[0] < since_us:
                swarm.went.popleft()
            members = swarm.members.items()
            swarm.members = {name: one for name, one in members if one.sent_us >= since_us}
            if not swarm.members and not swarm.present and not swarm.went:
                del self._swarms[info_hash]
