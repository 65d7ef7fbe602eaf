"""Finds members who say they sent more than others can have received.

A *window* is what came between two announces of a peer. It is compared with every interval of the
other peers of its torrent that overlaps it, whole. docs/audit.md ("Detectors") has the rule.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import frozen

from tracker.domain.detecting.intervals import (
    CASE,
    LEAD,
    MOST_EVIDENCE,
    MOST_WAITING,
    Detector,
    Finding,
)
from tracker.domain.detecting.outages import Outages
from tracker.domain.detecting.sent import SentByDay
from tracker.domain.events import DAY_US, STOPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval


@frozen
class ReceivedParameters:
    overhead_percent: int = 105
    """Percent of what others received that may have been sent, because data is lost and resent."""
    size_percent: int = 5
    """Percent of the torrent's size that may have been sent beyond that."""
    silent_days: int = 7
    """Days for which a peer that fell silent may go on loading, and the longest window."""
    most_silent: int = 10_000
    """No window is judged while more peers of the torrent fell silent, because it looks at each."""
    overtaken_windows: int = 3
    """So many windows of a member within `case_days` are passed over, because a later announce
    overtook the one that begins them.
    """
    case_days: int = 30
    """Days over which windows are added up for a case."""
    case_windows: int = 3
    """A case has more unexplained windows than this."""
    case_bytes: int = 20 << 30
    """A case has more unexplained bytes than this."""
    case_percent: int = 5
    """A case has more than this percent of the bytes that the member sent in `case_days`."""


_Name = tuple[int, bytes]  # of a peer in its torrent: account and peer_id


class _Peer:
    """A peer after an announce: as long as it is listed, and `silent_days` after it."""

    __slots__ = (
        "begin_received", "begin_us", "lacks", "left", "peak_down", "peak_up", "peaked", "received",
        "said", "said_down", "said_up", "seq", "time_us", "used",
    )  # fmt: skip

    def __init__(self, seq: int, time_us: int) -> None:
        self.seq, self.time_us = seq, time_us  # of its last announce
        self.received = 0  # by all in the torrent up to then
        self.said = False  # these are known: `uploaded` and `downloaded` of its last announce
        self.said_up = self.said_down = 0
        self.peaked = False  # the last one told nothing new: those of the announce before it
        self.peak_up = self.peak_down = 0
        # Where the window begins that its next announce ends, and what others received until then.
        self.begin_us, self.begin_received = time_us, 0
        self.left: int | None = None  # in its last announce
        self.lacks = 0  # of one that fell silent: what it can still have received
        # Of that, the bytes that explained windows of each account; None = none did.
        self.used: dict[int, int] | None = None

    def announces(self, interval: Interval, received: int, own: int) -> None:
        """Enters an announce. `received`: by all in the torrent up to now, `own` in this interval.

        One that tells nothing new may be an old one, which a later one overtook. So the next window
        begins with the announce before it.
        """
        up, down = interval.uploaded, interval.downloaded
        self.peaked = self.said and up <= self.said_up and down <= self.said_down
        if self.peaked:
            self.begin_us, self.begin_received = self.time_us, self.received + own
            self.peak_up, self.peak_down = self.said_up, self.said_down
        else:
            self.begin_us, self.begin_received = interval.time_us, received
        self.seq, self.time_us, self.received = interval.seq, interval.time_us, received
        self.said, self.said_up, self.said_down, self.left = True, up, down, interval.left

    def again(self, interval: Interval) -> int:
        """Returns how much of `up` counts a second time, if the last announce was an old one."""
        up, down = interval.uploaded, interval.downloaded
        if not self.peaked or up < self.peak_up or down < self.peak_down:
            return 0
        return max(0, interval.up - (up - self.peak_up))


class _Window:
    """A window of a peer that is not explained yet, because others have not announced again."""

    __slots__ = (
        "account", "again", "begin_us", "explained", "peer", "seq", "time_us", "up", "waits",
    )  # fmt: skip

    def __init__(
        self, interval: Interval, name: _Name, peer: _Peer, explained: int, waits: int
    ) -> None:
        self.account, self.peer, self.up = interval.account, name, interval.up
        self.again = peer.again(interval)  # bytes of `up` that may have been told before
        self.seq, self.begin_us, self.time_us = interval.seq, peer.begin_us, interval.time_us
        self.explained = explained  # bytes that others received, so far
        self.waits = waits  # for so many others


class _Swarm:
    """The peers of one torrent."""

    __slots__ = ("away", "listed", "received", "silent", "size", "windows")

    def __init__(self) -> None:
        self.size = 0
        self.received = 0  # by all peers since the detector knows the torrent, in bytes
        self.listed: dict[_Name, _Peer] = {}
        self.away: dict[_Name, _Peer] = {}
        self.silent: dict[_Name, _Peer] = {}  # of `away`, those that had something left
        self.windows: list[_Window] = []  # in the order of their ends


class _Unexplained(NamedTuple):
    time_us: int
    seq: int
    amount: int


class UploadBeyondReceived(Detector):
    """Judges each window when every other peer whose interval overlaps it is known to its end."""

    name = "upload_beyond_received"
    version = 1
    kept = ("_swarms", "_outages", "_left", "_sent", "_found", "_overtaken")
    holds: tuple[Any, ...] = (_Swarm, _Peer, _Window, _Unexplained, Outages, SentByDay)

    def __init__(self, parameters: ReceivedParameters | None = None) -> None:
        self.parameters = parameters or ReceivedParameters()
        self._silent_us = self.parameters.silent_days * DAY_US
        self._swarms: dict[bytes, _Swarm] = {}
        self._outages = Outages()
        self._left: deque[tuple[int, bytes, _Name]] = deque()  # last announces of those away
        self._sent = SentByDay(self.parameters.case_days)
        self._found: dict[int, list[_Unexplained]] = {}  # of each account, in `case_days`
        self._overtaken: dict[int, list[int]] = {}  # the same of windows passed over: their ends

    def heard(self, interval: Interval) -> Iterable[Finding]:
        if interval.refused:
            return ()
        swarm = self._swarms.get(interval.info_hash)
        if swarm is None:
            swarm = self._swarms[interval.info_hash] = _Swarm()
        swarm.size = interval.size
        name = interval.name
        if interval.gone and interval.event != STOPPED:
            return self._fell_silent(swarm, name, interval)
        peer = swarm.listed.get(name)
        was_listed = peer is not None
        if peer is None:
            peer = self._came(swarm, name, interval)
        if interval.up:
            self._sent.add(interval.account, interval.time_us, interval.up)
        received = _received(interval, swarm.size, peer)
        window = None
        if interval.up and interval.up * 100 > self.parameters.size_percent * swarm.size:
            window = self._window(swarm, peer, name, interval)
        if received:
            swarm.received += received
        judged: Iterable[Finding] = ()
        if swarm.windows:
            judged = self._go_on(swarm, peer, received, was_listed, interval)
        if window is not None:
            swarm.windows.append(window)
            if not window.waits:
                judged = [*judged, *self._judge(swarm, interval)]
        peer.announces(interval, swarm.received, received)
        if interval.event == STOPPED:
            swarm.listed.pop(name, None)
            self._goes(swarm, name, peer, interval)
        return judged

    def ticked(self, time_us: int) -> Iterable[Finding]:
        """Forgets peers that went `silent_days` ago."""
        self._outages.ticked(time_us)
        while self._left and self._left[0][0] < time_us - self._silent_us:
            last_us, info_hash, name = self._left.popleft()
            swarm = self._swarms.get(info_hash)
            if swarm is None:
                continue
            peer = swarm.away.get(name)
            if peer is not None and peer.time_us == last_us:
                if swarm.windows and swarm.windows[0].time_us <= last_us + self._silent_us:
                    self._left.append((last_us, info_hash, name))
                    break
                del swarm.away[name]
                swarm.silent.pop(name, None)
            if not swarm.listed and not swarm.away:
                del self._swarms[info_hash]
        for account in self._sent.forget(time_us):
            self._found.pop(account, None)
            self._overtaken.pop(account, None)
        return ()

    def _came(self, swarm: _Swarm, name: _Name, interval: Interval) -> _Peer:
        """Enters a peer that is not listed. One whose announce before is not known has a seq of 0,
        because it may have loaded at any time.
        """
        peer = swarm.away.pop(name, None)
        swarm.silent.pop(name, None)
        if peer is None or interval.time_us - peer.time_us > self._silent_us:
            peer = _Peer(interval.seq if interval.first else 0, interval.before_us)
        peer.lacks, peer.used = 0, None
        swarm.listed[name] = peer
        return peer

    def _fell_silent(self, swarm: _Swarm, name: _Name, interval: Interval) -> Iterable[Finding]:
        peer = swarm.listed.pop(name, None)
        if peer is None:
            return ()
        peer.lacks = swarm.size if interval.left is None else interval.left
        if peer.lacks:
            swarm.silent[name] = peer
        self._goes(swarm, name, peer, interval)
        return self._go_on(swarm, peer, 0, True, interval) if swarm.windows else ()

    def _goes(self, swarm: _Swarm, name: _Name, peer: _Peer, interval: Interval) -> None:
        swarm.away[name] = peer
        self._left.append((peer.time_us, interval.info_hash, name))

    def _window(
        self, swarm: _Swarm, peer: _Peer, name: _Name, interval: Interval
    ) -> _Window | None:
        """Returns the window that an announce ends; None = it is explained, or cannot be judged."""
        if len(swarm.silent) > self.parameters.most_silent:
            return None
        known = peer.seq and swarm.size and interval.account and not interval.first
        # Who comes while the tracker is down is not known.
        now_us = interval.time_us
        since_us = max(self._outages.last_us(now_us), now_us - self._silent_us)
        if not known or peer.begin_us < since_us:
            return None
        explained = swarm.received - peer.begin_received
        if self._unexplained(swarm, interval.up, explained) <= 0:
            return None
        waiting = [each for each in swarm.windows if each.account == interval.account]
        if len(waiting) >= MOST_WAITING:
            return None
        waits = len(swarm.listed) - (name in swarm.listed)
        return _Window(interval, name, peer, explained, waits)

    def _unexplained(self, swarm: _Swarm, up: int, received: int) -> int:
        overhead: int = received * self.parameters.overhead_percent // 100
        spare: int = swarm.size * self.parameters.size_percent // 100
        return up - overhead - spare

    def _go_on(
        self, swarm: _Swarm, peer: _Peer, received: int, was_listed: bool, interval: Interval
    ) -> Iterable[Finding]:
        """Adds an interval of a peer to the windows that it overlaps, and judges those it ends."""
        judge, name = False, interval.name
        for window in swarm.windows:
            if peer.seq < window.seq and window.peer != name:
                window.explained += received
                window.waits -= was_listed
                if received and self._unexplained(swarm, window.up, window.explained) <= 0:
                    window.waits = 0
                judge = judge or not window.waits
        return self._judge(swarm, interval) if judge else ()

    def _judge(self, swarm: _Swarm, now: Interval) -> list[Finding]:
        """Judges the windows that wait for nobody. `now`: what was heard last in the torrent."""
        ended = [window for window in swarm.windows if not window.waits]
        swarm.windows = [window for window in swarm.windows if window.waits]
        found = []
        for window in ended:
            rest = self._unexplained(swarm, window.up, window.explained)
            if rest > 0:
                window.explained += self._use(swarm, window, rest)
                rest = self._unexplained(swarm, window.up, window.explained)
            if rest > 0 and not (rest <= window.again and self._passes_over(window)):
                found.append(self._find(window, now, rest))
        return found

    def _passes_over(self, window: _Window) -> bool:
        """Tells whether a window may have been told twice: not oftener than a case could follow."""
        since_us = window.time_us - self.parameters.case_days * DAY_US
        passed = [us for us in self._overtaken.get(window.account, ()) if us > since_us]
        if len(passed) >= self.parameters.overtaken_windows:
            return False
        self._overtaken[window.account] = [*passed, window.time_us]
        return True

    def _use(self, swarm: _Swarm, window: _Window, rest: int) -> int:
        """Takes what explains `rest` from those who fell silent. Returns how much there was."""
        percent, used = self.parameters.overhead_percent, 0
        need = (rest * 100 + percent - 1) // percent
        for name, peer in sorted(swarm.silent.items(), key=lambda each: each[1].seq):
            if peer.seq > window.seq:
                break  # it fell silent after the window
            if name != window.peer and window.time_us <= peer.time_us + self._silent_us:
                peer.used = peer.used or {}
                before = peer.used.get(window.account, 0)
                some = min(need - used, peer.lacks - before)
                peer.used[window.account] = before + some
                used += some
        return used

    def _find(self, window: _Window, now: Interval, rest: int) -> Finding:
        to = self.parameters
        since_us = window.time_us - to.case_days * DAY_US
        found = [one for one in self._found.get(window.account, ()) if one.time_us > since_us]
        found.append(_Unexplained(window.time_us, window.seq, rest))
        self._found[window.account] = found
        total = sum(each.amount for each in found)
        sent = self._sent.total(window.account, now.time_us)
        case = len(found) > to.case_windows and total > to.case_bytes
        case = case and total * 100 > sent * to.case_percent
        facts = {
            "sent": window.up, "received": window.explained, "windows": len(found),
            "unexplained_in_all": total, "sent_in_all": sent,
        }  # fmt: skip
        evidence = sorted(each.seq for each in found)[-MOST_EVIDENCE:]
        return Finding(
            self.name, CASE if case else LEAD, window.account, now.info_hash, window.begin_us,
            window.time_us, rest, "bytes", tuple(evidence) if case else (window.seq,), facts,
        )  # fmt: skip


def _received(interval: Interval, size: int, peer: _Peer) -> int:
    """Returns the most bytes that a peer can have received since the announce before.

    The tracker calls an announce after `stopped` a first one, and so is a second `stopped`, as over
    IPv4 and IPv6. The peer is remembered all the same.
    """
    left, before = interval.left, interval.left_before
    if interval.first:
        before = size if peer.seq == interval.seq else peer.left
    if left is None or before is None:
        return size
    if left == before == 0:  # most announces are those of seeders
        return max(interval.down, 0)
    return max(interval.down, before - left, 0)
