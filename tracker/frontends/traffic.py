"""What each listener has done since the start: plain counters beside the log, read by the metrics.

One task writes each of these. The announce path is not counted by the announce but by the batch; the rest follows by
subtraction.
"""

from __future__ import annotations

from tracker.wire.clients import OTHERS, client_of

MOST_CLIENTS = 64
"""Client names and versions told apart: peer ids are the sender's choice, and a series in a metrics store costs."""


class UdpTraffic:
    """Datagrams of one UDP listener."""

    __slots__ = (
        "banned", "busy_ns", "connects", "errors", "ignored", "requests", "scrapes", "unsent", "wrong_ids",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = 0
        self.connects = 0
        self.scrapes = 0
        self.errors = 0  # answered with an error
        self.ignored = 0  # too short for an answer
        self.banned = 0  # no answer: of a banned address
        self.unsent = 0  # answers that the kernel did not take
        self.busy_ns = 0  # from the datagrams' arrival in this program to the answers' departure
        self.wrong_ids: dict[tuple[str, str], int] = {}  # announces, by client name and version

    @property
    def announces(self) -> int:
        return (
            self.requests - self.connects - self.scrapes - self.errors - self.ignored - self.banned
        )

    @property
    def responses(self) -> int:
        return self.requests - self.ignored - self.banned - self.unsent

    @property
    def average_ns(self) -> int:
        """Of a request. What a batch takes is shared evenly."""
        return self.busy_ns // self.requests if self.requests else 0

    def batch(self, requests: int, unsent: int, busy_ns: int) -> None:
        self.requests += requests
        self.unsent += unsent
        self.busy_ns += busy_ns

    def wrong_id(self, peer_id: bytes) -> None:
        """An announce with a connection id that is none; `peer_id` has 20 bytes."""
        who = client_of(peer_id)
        if who not in self.wrong_ids and len(self.wrong_ids) >= MOST_CLIENTS:
            who = OTHERS
        self.wrong_ids[who] = self.wrong_ids.get(who, 0) + 1


class HttpTraffic:
    """Requests of one HTTP tracker, refused ones too."""

    __slots__ = ("announces", "scrapes")

    def __init__(self) -> None:
        self.announces = 0
        self.scrapes = 0
