"""Finds members who say they sent something while nobody was there to take it."""

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
from tracker.domain.events import DAY_US, STOPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Interval


@frozen
class AloneParameters:
    timeout_seconds: int = 5400
    """Somebody may be there for so long before an announce and after it, and not be listed."""
    least_bytes: int = 1 << 20
    """Fewer bytes in a window are nothing but what peers say to each other."""
    case_days: int = 30
    case_windows: int = 3
    """A case has at least so many windows within `case_days`, over all torrents."""
    case_bytes: int = 1 << 30
    """A case has at least so many bytes in them."""
    silent_days: int = 7
    """It is no case for so long after a leecher fell silent, because that may go on loading."""


_Name = tuple[int, bytes]  # of a peer in its torrent: account and peer_id


class _Swarm:
    __slots__ = ("present", "silent", "waiting", "went")

    def __init__(self) -> None:
        self.present: set[_Name] = set()  # leechers
        self.went: list[tuple[int, _Name]] = []  # when the last two of them went, the latest first
        self.silent: list[tuple[int, _Name]] = []  # the same, of those who fell silent
        self.waiting: list[_Window] = []


class _Sent(NamedTuple):
    """What was sent in a window while nobody was there."""

    seq: int
    time_us: int
    up: int


class _Window:
    """A window with upload, in which nobody else was there so far."""

    __slots__ = ("begin_us", "due_us", "info_hash", "peer", "sent", "silent", "somebody")

    def __init__(self, interval: Interval, peer: _Name, due_us: int, silent: bool) -> None:
        self.info_hash, self.begin_us = interval.info_hash, interval.before_us
        self.sent = _Sent(interval.seq, interval.time_us, interval.up)
        self.peer, self.due_us = peer, due_us
        self.silent = silent  # somebody had fallen silent in the days before
        self.somebody = False  # came within one timeout


class UploadWithoutLeechers(Detector):
    """Looks whether anybody else was there, from one timeout before a window to one after it.

    Leechers count, refused announces, and who is new and complete, because he may have loaded.
    """

    name = "upload_without_leechers"
    version = 1
    kept = ("_swarms", "_waiting", "_found", "_outages", "_day")
    holds: tuple[Any, ...] = (_Swarm, _Window, _Sent, Outages)

    def __init__(self, parameters: AloneParameters | None = None) -> None:
        self.parameters = parameters or AloneParameters()
        self._timeout_us = self.parameters.timeout_seconds * 1_000_000
        self._swarms: dict[bytes, _Swarm] = {}
        self._waiting: deque[_Window] = deque()
        self._found: dict[int, list[_Sent]] = {}
        self._outages = Outages()
        self._day = 0

    def heard(self, interval: Interval) -> Iterable[Finding]:
        left, up = interval.left, interval.up
        if left == 0 == interval.left_before and not up and not interval.refused:
            return ()
        swarm = self._swarms.get(interval.info_hash)
        if swarm is None:
            swarm = self._swarms[interval.info_hash] = _Swarm()
        name = interval.name
        if up >= self.parameters.least_bytes and interval.account:
            self._sent(interval, swarm, name)
        stays = interval.event != STOPPED and not interval.gone and not interval.refused
        leeches = left != 0 and stays
        if leeches:
            swarm.present.add(name)
        new = interval.refused or (interval.first and interval.event != STOPPED)
        if leeches or new or name in swarm.present:
            for window in swarm.waiting:
                window.somebody |= window.peer != name and window.due_us >= interval.time_us
        if not leeches and (new or name in swarm.present):
            swarm.present.discard(name)
            swarm.went = _latest(interval.time_us, name, swarm.went)
            if interval.gone:  # it did not stop
                swarm.silent = _latest(interval.time_us, name, swarm.silent)
        return ()

    def _sent(self, interval: Interval, swarm: _Swarm, name: _Name) -> None:
        begin_us = interval.before_us
        if len(swarm.present) > (name in swarm.present) or interval.first:
            return
        if begin_us < self._outages.last_us(interval.time_us):
            return
        if _since(begin_us - self._timeout_us, name, swarm.went):
            return
        waiting = [each for each in swarm.waiting if each.peer[0] == interval.account]
        if len(waiting) >= MOST_WAITING:
            return
        silent = _since(begin_us - self.parameters.silent_days * DAY_US, name, swarm.silent)
        window = _Window(interval, name, interval.time_us + self._timeout_us, silent)
        swarm.waiting.append(window)
        self._waiting.append(window)

    def ticked(self, time_us: int) -> Iterable[Finding]:
        self._outages.ticked(time_us)
        found = []
        while self._waiting and self._waiting[0].due_us < time_us:
            window = self._waiting.popleft()
            self._swarms[window.info_hash].waiting.remove(window)
            down = self._outages.last_us(time_us) > window.sent.time_us
            if not window.somebody and not down:
                found.append(self._find(window))
        if time_us // DAY_US != self._day:
            self._day = time_us // DAY_US
            self._forget(time_us)
        return found

    def _find(self, window: _Window) -> Finding:
        to, (account, _), sent = self.parameters, window.peer, window.sent
        since_us = sent.time_us - to.case_days * DAY_US
        found = [each for each in self._found.get(account, ()) if each.time_us > since_us]
        if not window.silent:
            self._found[account] = found = [*found, sent]
        total = sum(each.up for each in found)
        case = not window.silent and len(found) >= to.case_windows and total >= to.case_bytes
        evidence = [each.seq for each in found] if case else [sent.seq]
        return Finding(
            self.name, CASE if case else LEAD, account, window.info_hash, window.begin_us,
            sent.time_us, sent.up, "bytes", tuple(evidence[-MOST_EVIDENCE:]),
            {"windows": len(found), "sent_in_all": total, "silent": int(window.silent)},
        )  # fmt: skip

    def _forget(self, time_us: int) -> None:
        """Forgets torrents without leechers, and windows that are older than `case_days`."""
        for info_hash, swarm in list(self._swarms.items()):
            went = _since(time_us - 8 * DAY_US, (0, b""), swarm.went)
            if not swarm.present and not swarm.waiting and not went:
                del self._swarms[info_hash]
        since_us = time_us - self.parameters.case_days * DAY_US
        for account, found in list(self._found.items()):
            if found[-1].time_us <= since_us:
                del self._found[account]


def _latest(time_us: int, name: _Name, before: list[tuple[int, _Name]]) -> list[tuple[int, _Name]]:
    """Returns a peer that went now, and the last other one before it."""
    return [(time_us, name), *[each for each in before if each[1] != name][:1]]


def _since(time_us: int, name: _Name, went: list[tuple[int, _Name]]) -> bool:
    """Tells whether a peer other than `name` went at `time_us` or later."""
    return any(us >= time_us and who != name for us, who in went)
