"""Finds members who load without saying so: "ghost leech" and "dark leech".

A ghost leech reports that less is left, and that it downloaded nothing. A dark leech takes the list
of peers, falls silent, and comes back complete under another peer_id. Who adds files that he has
does the same, so a case needs others who sent what was not reported.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import frozen

from tracker.domain.detecting.intervals import CASE, LEAD, Detector, Finding
from tracker.domain.events import DAY_US, STOPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval


@frozen
class LeechParameters:
    size_percent: int = 10
    """A download is looked at if this percent of the torrent came without report, or more."""
    near_percent: int = 5
    """Percent of what came that `downloaded` may show, and still be near 0."""
    interval_seconds: int = 1800
    """A case needs two announces with something left that are at least so far apart."""
    wait_seconds: int = 3600
    """A download is judged so long after its end, because others must announce what they sent."""
    overhead_percent: int = 105
    """Percent of what other peers received that was sent to them."""
    sent_percent: int = 80
    """A case needs others who sent this percent of what came, beyond what went to other peers."""
    case_torrents: int = 3
    """A case needs so many torrents within `case_days`."""
    case_days: int = 30
    habit_members: int = 3
    """It is a lead if so many members do it with the same client, because that counts nothing."""
    silent_days: int = 7
    """Days after which who comes back complete is no dark leech."""


class _Swarm:
    __slots__ = ("heard_us", "received", "sent")

    def __init__(self) -> None:
        self.sent = self.received = self.heard_us = 0  # bytes of all peers, since it is known


class _Download:
    """What a peer reported since it was first seen with something left."""

    __slots__ = (
        "back", "begin_us", "downloaded", "ended", "left", "most", "name", "own_received",
        "own_sent", "received", "sent", "seq", "size", "twice",
    )  # fmt: skip

    def __init__(self, interval: Interval, swarm: _Swarm) -> None:
        self.name = interval.peer
        self.size, self.seq, self.begin_us = interval.size, interval.seq, interval.before_us
        self.left = self.most = interval.left_before or interval.left or 0
        self.downloaded = 0
        self.sent, self.received = swarm.sent, swarm.received  # by all, before it
        self.own_sent = self.own_received = 0
        self.twice = False  # something was left at announces that are far enough apart
        self.ended = False
        # Seq and `downloaded` of the announce of the member's new peer that came back complete.
        self.back: tuple[int, int] | None = None


class _Ended(NamedTuple):
    """A download of which something came without report."""

    end_us: int
    seq: int
    download: _Download
    came: int  # without report, in bytes
    dark: bool


class GhostLeech(Detector):
    """Judges each download some time after its end."""

    name = "ghost_leech"
    version = 1
    kept = (
        "_swarms",
        "_downloads",
        "_by_member",
        "_ended",
        "_silent",
        "_torrents",
        "_members",
        "_counted",
        "_day",
    )
    holds: tuple[Any, ...] = (_Swarm, _Download, _Ended)

    def __init__(self, parameters: LeechParameters | None = None) -> None:
        self.parameters = parameters or LeechParameters()
        self._swarms: dict[bytes, _Swarm] = {}
        self._downloads: dict[tuple[int, bytes, bytes], _Download] = {}
        self._by_member: dict[tuple[int, bytes], _Download] = {}  # the latest, listed or silent
        self._ended: deque[_Ended] = deque()
        self._silent: deque[tuple[int, _Download]] = deque()  # when they were no longer listed
        # Torrents in which others sent what was not reported, with the time of the last.
        self._torrents: dict[int, dict[bytes, int]] = {}
        self._members: dict[bytes, dict[int, int]] = {}  # by client, those who have such torrents
        # By client, the members for whom it counted a download, with the time of the last.
        self._counted: dict[bytes, dict[int, int]] = {}
        self._day = 0

    def heard(self, interval: Interval) -> Iterable[Finding]:
        swarm = self._swarms.get(interval.info_hash)
        if swarm is None:
            swarm = self._swarms[interval.info_hash] = _Swarm()
        swarm.heard_us = interval.time_us
        left, before = interval.left, interval.left_before
        if interval.refused or (left == 0 == before and not interval.up):
            return ()  # most announces are those of idle seeders
        name = interval.peer
        download = self._downloads.get(name)
        if interval.gone and interval.event != STOPPED:
            self._fell_silent(interval, swarm, download)
            return ()
        if download is None and interval.account:
            if left or before:
                download = self._downloads[name] = _Download(interval, swarm)
                self._by_member[name[:2]] = download
            elif interval.first and interval.event != STOPPED:
                self._came_complete(interval)
        if interval.down:
            members = self._counted.setdefault(interval.peer_id[:8], {})
            members[interval.account] = interval.time_us
        received = _received(interval)
        swarm.sent += interval.up
        swarm.received += received
        if download is not None:
            self._go_on(interval, download, swarm, received)
        return ()

    def ticked(self, time_us: int) -> Iterable[Finding]:
        wait_us = self.parameters.wait_seconds * 1_000_000
        found: list[Finding] = []
        while self._ended and self._ended[0].end_us + wait_us <= time_us:
            found += self._judge(self._ended.popleft())
        keep_us = self.parameters.silent_days * DAY_US
        while self._silent and self._silent[0][0] + keep_us <= time_us:
            _, download = self._silent.popleft()
            if self._by_member.get(download.name[:2]) is download:
                del self._by_member[download.name[:2]]
        if time_us // DAY_US != self._day:
            self._day = time_us // DAY_US
            self._forget(time_us)
        return found

    def _go_on(self, interval: Interval, download: _Download, swarm: _Swarm, received: int) -> None:
        download.own_sent += interval.up
        download.own_received += received
        left = download.left if interval.left is None else interval.left
        if download.ended:
            return
        if left > download.left:  # it began anew, or removed what it had
            download = self._downloads[download.name] = _Download(interval, swarm)
            download.left = download.most = left
            self._by_member[download.name[:2]] = download
        download.left, download.back = left, None
        download.downloaded += interval.down
        apart_us = self.parameters.interval_seconds * 1_000_000
        download.twice |= left > 0 and interval.time_us - download.begin_us >= apart_us
        if left == 0 or interval.event == STOPPED:
            self._by_member.pop(download.name[:2], None)
            self._end(interval, download)

    def _fell_silent(self, interval: Interval, swarm: _Swarm, download: _Download | None) -> None:
        if download is None or download.ended:
            return
        swarm.received += interval.left or 0
        download.own_received += interval.left or 0
        self._silent.append((interval.time_us, download))
        back = download.back
        self._end(interval, download)
        if back is not None:
            self._came_back(back, download, interval.time_us)

    def _end(self, interval: Interval, download: _Download) -> None:
        """Notes that a download is complete, stopped or silent. Of most everything is reported."""
        download.ended = True
        came = download.most - download.left
        if self._unreported(download, came, download.downloaded):
            end = _Ended(interval.time_us, interval.seq, download, came, False)
            self._ended.append(end)
        else:
            del self._downloads[download.name]

    def _came_complete(self, interval: Interval) -> None:
        """Notes that a member's new peer has everything, if an earlier one had not."""
        download = self._by_member.get((interval.account, interval.info_hash))
        if download is None or download.name[2] == interval.peer_id:
            return
        if download.ended:
            self._came_back((interval.seq, interval.downloaded), download, interval.time_us)
        else:
            download.back = interval.seq, interval.downloaded

    def _came_back(self, back: tuple[int, int], download: _Download, time_us: int) -> None:
        self._by_member.pop(download.name[:2], None)
        if self._unreported(download, download.left, back[1]):
            self._ended.append(_Ended(time_us, back[0], download, download.left, True))

    def _unreported(self, download: _Download, came: int, downloaded: int) -> bool:
        to = self.parameters
        enough = came > 0 and came * 100 >= download.size * to.size_percent
        return enough and downloaded * 100 <= came * to.near_percent

    def _judge(self, ended: _Ended) -> Iterable[Finding]:
        to, download = self.parameters, ended.download
        account, info_hash, peer_id = download.name
        if self._downloads.get(download.name) is download:
            del self._downloads[download.name]
        swarm = self._swarms[info_hash]
        sent = swarm.sent - download.sent - download.own_sent
        received = swarm.received - download.received - download.own_received
        beyond = sent - received * to.overhead_percent // 100
        torrents = self._torrents.get(account, {})
        members = self._members.get(peer_id[:8], {})
        if download.twice and beyond * 100 >= ended.came * to.sent_percent:
            torrents = self._torrents.setdefault(account, torrents)
            torrents[info_hash] = ended.end_us
            members = self._members.setdefault(peer_id[:8], members)
            members[account] = ended.end_us
        others = len(members) - (account in members)
        case = info_hash in torrents and len(torrents) >= to.case_torrents
        counts = account in self._counted.get(peer_id[:8], ())
        case = case and counts and others < to.habit_members
        facts = {
            "came": ended.came, "sent_by_others": sent, "received_by_others": received,
            "twice": int(download.twice), "torrents": len(torrents), "members": others,
            "counts": int(counts), "dark": int(ended.dark),
        }  # fmt: skip
        yield Finding(
            self.name, CASE if case else LEAD, account, info_hash, download.begin_us, ended.end_us,
            ended.came, "bytes", (download.seq, ended.seq), facts,
        )  # fmt: skip

    def _forget(self, time_us: int) -> None:
        """Forgets what is older than `case_days`, and torrents of which nothing was heard."""
        since_us = time_us - self.parameters.case_days * DAY_US
        for lists in (self._torrents, self._members, self._counted):
            _drop_before(lists, since_us)
        old = [name for name, swarm in self._swarms.items() if swarm.heard_us < since_us]
        for name in old:
            del self._swarms[name]


def _drop_before(lists: dict[Any, dict[Any, int]], since_us: int) -> None:
    for name, times in list(lists.items()):
        for each in [each for each, time_us in times.items() if time_us < since_us]:
            del times[each]
        if not times:
            del lists[name]


def _received(interval: Interval) -> int:
    """Returns the most bytes that a peer can have received since an announce that is known."""
    left, before = interval.left, interval.left_before
    if left is None:
        return interval.size
    if before is None:
        return 0 if interval.first else interval.size
    return max(interval.down, before - left, 0)
