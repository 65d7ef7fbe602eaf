"""Says what detectors hear, and what they find.

A detector hears the intervals of all peers in the order of the log, and time. From that alone it
finds what speaks against an account, so that the same log gives the same findings. It holds what it
needs in memory, and forgets it in time. Nothing of that is an address: the follower writes it, and
keys of addresses are shredded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tracker.domain.detecting.keeping import Remembers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LEAD, CASE, PROOF = 1, 2, 3
"""Grades of findings: shows when one looks; is put before staff; holds whatever else is said."""
GRADES = ("", "lead", "case", "proof")
"""Names of the grades."""
MOST_EVIDENCE = 32
"""The most announces that a finding names."""
MOST_WAITING = 16
"""The most windows of an account that wait in a torrent, because each announce there looks at all.
A client that keeps to the interval has three or so.
"""


class Interval(NamedTuple):
    """An announce of a peer with an account, and what came since its announce before.

    Times are log time in microseconds, amounts are bytes. Of a refused announce only account,
    torrent and time are known. Where a peer is `gone` without an announce, the numbers are those of
    its last announce, nothing was added, and `time_us` is when it was no longer listed.
    """

    seq: int  # of the announce; where a peer is gone, of the event that removed it
    time_us: int
    before_us: int  # of the announce before; `time_us` where there is none
    account: int
    info_hash: bytes  # 20 bytes
    # 20 bytes: the first 8, and a hash of the others; where the address is not known, zeros.
    peer_id: bytes
    address: bytes | None  # 4 or 16 bytes; None = its key is shredded, or not there
    port: int  # 0 = not known
    key: int | None  # 16-bit hash of the client's `key=`; None = not known
    client: int  # its number; 0 = without one, `NOT_RECORDED` = written by an older version
    event: int  # NONE, COMPLETED, STARTED, STOPPED of `tracker.domain.events`
    # Since the announce before; 0 at the first one, and where the client began anew.
    up: int
    down: int
    left: int | None  # None = not known
    left_before: int | None  # None = not known, or there is no announce before
    uploaded: int  # as announced
    downloaded: int
    first: bool  # nothing is known of an announce before
    refused: bool
    gone: bool  # the peer is no longer listed: it stopped, expired or was removed
    size: int  # of the torrent: as declared, or the largest `left` so far; 0 = not known


class Finding(NamedTuple):
    """What a detector found about an account."""

    detector: str
    grade: int  # LEAD, CASE or PROOF
    account: int
    info_hash: bytes | None  # None = of no single torrent
    begin_us: int  # log time
    end_us: int
    amount: int  # of this finding alone
    unit: str  # of `amount`, such as "bytes"
    evidence: tuple[int, ...]  # seqs of announces, ascending, at most `MOST_EVIDENCE`
    facts: Mapping[str, int]  # plain numbers by name: what was compared with what


class Detector(Remembers, Protocol):
    """Looks for one kind of thing."""

    name: str  # in lower case with underscores; it names cases, so it never changes
    parameters: Any  # a frozen attrs class of whole numbers

    def heard(self, interval: Interval) -> Iterable[Finding]:
        """Hears an announce, or that a peer is gone. Returns what that shows."""
        ...

    def ticked(self, time_us: int) -> Iterable[Finding]:
        """Hears that log time has come to this. Returns what that shows."""
        ...
