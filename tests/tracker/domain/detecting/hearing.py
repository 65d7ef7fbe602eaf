"""Lets a detector hear announces that tests write down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support import START_US
from tests.tracker.domain.detecting.said import again
from tracker.domain.detecting.intervals import Finding, Interval
from tracker.domain.events import COMPLETED, NONE, STARTED, STOPPED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Detector

MINUTE_US = 60_000_000
GB = 10**9
TORRENT = b"t" * 20
_EVENTS = {"none": NONE, "completed": COMPLETED, "started": STARTED, "stopped": STOPPED}


class Ear:
    """Makes intervals of announces as the tracker does, for one detector.

    Times are in minutes, amounts in bytes as announced. `found` has all findings.
    """

    def __init__(self, *detectors: Detector, size: int = 20 * GB) -> None:
        self.detectors, self.size, self.time_us = detectors, size, START_US - 10 * MINUTE_US
        self.found: list[Finding] = []
        self.seq = 0
        self._last: dict[Any, Interval] = {}

    def announce(
        self, minute: float, account: int, left: int | None = 0, up: int = 0, down: int = 0, *,
        event: str = "none", torrent: bytes = TORRENT, peer: bytes = b"", address: bytes = b"",
        port: int = 0, key: int | None = None, client: int = 1, size: int | None = None,
        new: bool = False,
    ) -> Interval:  # fmt: skip
        """Announces totals `up` and `down` of a peer, whose peer_id is `peer` or the account's.

        `new`: the tracker has forgotten its announces before.
        """
        time_us = START_US + int(minute * MINUTE_US)
        self.tick(time_us)
        peer_id = (peer or b"-XX0001-%d" % account).ljust(20, b".")
        name = account, torrent, peer_id
        before = None if new else self._last.get(name)
        self.seq += 1
        interval = Interval(
            self.seq, time_us, before.time_us if before else time_us, account, torrent, peer_id,
            address or bytes([10, 0, account >> 8, account & 0xFF]), port or 10_000 + account, key,
            client, _EVENTS[event], up - before.uploaded if before else 0,
            down - before.downloaded if before else 0, left, before.left if before else None, up,
            down, before is None, False, False, self.size if size is None else size,
        )  # fmt: skip
        self._last[name] = interval
        self.hear([interval])
        if event == "stopped":
            self.hear([_gone(interval, self.seq, time_us)])
        return interval

    def silent(
        self, minute: float, account: int, *, torrent: bytes = TORRENT, peer: bytes = b""
    ) -> None:
        """Says that a peer, which has fallen silent, is no longer listed."""
        time_us = START_US + int(minute * MINUTE_US)
        self.tick(time_us)
        name = account, torrent, (peer or b"-XX0001-%d" % account).ljust(20, b".")
        self.seq += 1
        self.hear([_gone(self._last[name], self.seq, time_us)])

    def refused(self, minute: float, account: int, *, torrent: bytes = TORRENT) -> None:
        """Says that an announce of an account was refused."""
        time_us = START_US + int(minute * MINUTE_US)
        self.tick(time_us)
        self.seq += 1
        self.hear([
            Interval(
                self.seq, time_us, time_us, account, torrent, bytes(20), None, 0, None, 0, NONE, 0,
                0, None, None, 0, 0, False, True, False, self.size,
            )
        ])  # fmt: skip

    def hear(self, intervals: Iterable[Interval]) -> None:
        for interval in intervals:
            for detector in self.detectors:
                self.found += detector.heard(interval)

    def tick(self, time_us: int) -> None:
        while self.time_us < time_us:
            self.time_us = min(time_us, self.time_us + 10 * MINUTE_US)
            for detector in self.detectors:
                self.found += detector.ticked(self.time_us)

    def wait(self, minute: float) -> None:
        """Lets time pass."""
        self.tick(START_US + int(minute * MINUTE_US))

    def down(self, minute: float) -> None:
        """Lets time pass while the tracker is down."""
        self.time_us = START_US + int(minute * MINUTE_US)
        for detector in self.detectors:
            self.found += detector.ticked(self.time_us)

    def amounts(self) -> list[tuple[int, int]]:
        """Account and amount of each finding."""
        return [(each.account, each.amount) for each in self.found]


def _gone(last: Interval, seq: int, time_us: int) -> Interval:
    return again(
        last, seq=seq, time_us=time_us, before_us=last.time_us, event=NONE, up=0, down=0,
        left_before=last.left, first=False, gone=True,
    )  # fmt: skip
