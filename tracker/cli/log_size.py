"""Estimates, from the sizes of records, how much log a number of peers makes in a day.

Announces come at random. The first one after a commit opens a frame, which takes all that come
within `linger_ms`. When nothing comes for a while after a commit, a watermark is written: a frame
without records. A commit is taken to need no time, which makes more and smaller frames than there
will be.
"""

from __future__ import annotations

from math import exp

from attrs import frozen

from eventlog import HEADER_SIZE, WATERMARK_SECONDS
from tracker.domain.events import codec

ANNOUNCE_BYTES = codec.PLAIN.size + codec.PROTECTED.size
PEERS = (1_000, 100_000, 1_000_000)

_DAY = 86_400
_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@frozen
class Estimate:
    """The log of `peers`; rates are averages a second."""

    peers: int
    interval: int  # seconds between two announces of a peer
    announces: float
    frames: float  # watermarks included

    @property
    def bytes_a_day(self) -> float:
        return _DAY * (self.announces * ANNOUNCE_BYTES + self.frames * HEADER_SIZE)

    def __str__(self) -> str:
        rates = (
            f"{_rate(self.announces)} announces/s × {ANNOUNCE_BYTES} B + "
            f"{_rate(self.frames)} frames/s × {HEADER_SIZE} B"
        )
        return (
            f"{self.peers:,} peers every {self.interval} s: ({rates}) × {_DAY:,} s = "
            f"{size(self.bytes_a_day)} a day"
        )


def estimate(peers: int, interval: int, linger_ms: int) -> Estimate:
    """Estimates the log of `peers` that announce every `interval` seconds (1 or more)."""
    announces = peers / interval
    commits = 1 / (1 / announces + linger_ms / 1000)
    watermarks = commits * exp(-announces * WATERMARK_SECONDS)
    return Estimate(peers, interval, announces, commits + watermarks)


def retained(made: Estimate, keep_days: int, keep_bytes: int) -> str:
    """Says how much of the log retention leaves, and which of its two limits applies."""
    days = keep_bytes / made.bytes_a_day
    if days < keep_days:
        return f"{size(keep_bytes)} (keep_bytes), {_rate(days)} days"
    return f"{size(keep_days * made.bytes_a_day)} (keep_days), {keep_days} days"


def size(count: float) -> str:
    """Formats bytes for people, 1 MB = a million bytes: `157 MB`, `2.34 GB`."""
    for factor, unit in _UNITS:
        if count >= factor:
            return f"{_rate(count / factor)} {unit}"
    return f"{count:.0f} B"


def _rate(number: float) -> str:
    """Formats a number with three digits, or with all those before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
