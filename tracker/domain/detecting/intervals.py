"""Says what detectors hear, and what they find.

A detector hears the intervals of all peers in the order of the log, and time. From that alone it
finds what speaks against an account, so that the same log gives the same findings. It holds what it
needs in memory, and forgets it in time. Nothing of that is an address: the follower writes it, and
keys of addresses are shredded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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


class Interval:
    """An announce of a peer with an account, and what came since its announce before.

    Times are log time in microseconds, amounts are bytes. Of a refused announce only account,
    torrent and time are known. Where a peer is `gone` without an announce, the numbers are those of
    its last announce, nothing was added, and `time_us` is when it was no longer listed.

    `name` and `peer` name the peer, in its torrent and in all: account and peer_id, and account,
    info hash and peer_id. `unowned` is info hash and peer_id. All intervals of a peer have the same
    objects there, because detectors remember peers by them. It is compiled, because there is one
    for each announce; amounts are Python's numbers, which have no end.
    """

    __slots__ = (
        "account", "address", "before_us", "client", "down", "downloaded", "event", "first", "gone",
        "info_hash", "key", "left", "left_before", "name", "peer", "peer_id", "port", "refused",
        "seq", "size", "time_us", "unowned", "up", "uploaded",
    )  # fmt: skip

    def __init__(
        self,
        seq: int,
        time_us: int,
        before_us: int,
        account: int,
        info_hash: bytes,
        peer_id: bytes,
        address: bytes | None,
        port: int,
        key: int | None,
        client: int,
        event: int,
        up: int,
        down: int,
        left: int | None,
        left_before: int | None,
        uploaded: int,
        downloaded: int,
        first: bool,
        refused: bool,
        gone: bool,
        size: int,
    ) -> None:
        self.seq = seq  # of the announce; where a peer is gone, of the event that removed it
        self.time_us = time_us
        self.before_us = before_us  # of the announce before; `time_us` where there is none
        self.account = account
        self.info_hash = info_hash  # 20 bytes
        # 20 bytes: the first 8, and a hash of the others; where the address is not known, zeros.
        self.peer_id = peer_id
        self.address = address  # 4 or 16 bytes; None = its key is shredded, or not there
        self.port = port  # 0 = not known
        self.key = key  # 16-bit hash of the client's `key=`; None = not known
        self.client = client  # its number; 0 = without one, `NOT_RECORDED` = of an older version
        self.event = event  # NONE, COMPLETED, STARTED, STOPPED of `tracker.domain.events`
        # Since the announce before; 0 at the first one, and where the client began anew.
        self.up, self.down = up, down
        self.left = left  # None = not known
        self.left_before = left_before  # None = not known, or there is no announce before
        self.uploaded, self.downloaded = uploaded, downloaded  # as announced
        self.first = first  # nothing is known of an announce before
        self.refused = refused
        self.gone = gone  # the peer is no longer listed: it stopped, expired or was removed
        self.size = size  # of the torrent: as declared, or the largest `left`; 0 = not known
        self.name = account, peer_id
        self.peer = account, info_hash, peer_id
        self.unowned = info_hash, peer_id


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


class Detector:
    """Looks for one kind of thing. `keeping.Remembers` says what it has besides."""

    name = ""  # in lower case with underscores; it names cases, so it never changes
    version = 0
    kept: tuple[str, ...] = ()
    holds: tuple[Any, ...] = ()
    parameters: Any = None  # a frozen attrs class of whole numbers

    def heard(self, interval: Interval) -> Iterable[Finding]:
        """Hears an announce, or that a peer is gone. Returns what that shows."""
        raise NotImplementedError

    def ticked(self, time_us: int) -> Iterable[Finding]:  # noqa: ARG002  # of those that need it
        """Hears that log time has come to this. Returns what that shows."""
        return ()
