"""Counts what each listener has done since the start, for the metrics; none of it is in the log.

One task writes each object. Requests are counted once a batch, because the announce path must not
pay for it; the number of announces follows by subtraction.
"""

from __future__ import annotations

from tracker.wire.clients import OTHERS, client_of

MOST_CLIENTS = 64
"""The most client names and versions counted apart, because senders choose their peer ids freely
and each name costs a series in a metrics store.
"""


class UdpTraffic:
    """Counts the datagrams of one UDP listener."""

    __slots__ = (
        "banned", "busy_ns", "connects", "errors", "ignored", "requests", "scrapes", "unsent", "wrong_ids",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = 0
        self.connects = 0
        self.scrapes = 0
        self.errors = 0  # error replies
        self.ignored = 0  # no request, its error would be too long, or after the deadline
        self.banned = 0  # from a banned address, so without a reply
        self.unsent = 0  # replies that the kernel did not take
        self.busy_ns = 0  # from receiving a batch to having sent its replies
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
        """Returns the mean nanoseconds for each request; a batch's time is shared evenly."""
        return self.busy_ns // self.requests if self.requests else 0

    def batch(self, requests: int, unsent: int, busy_ns: int) -> None:
        """Adds one batch."""
        self.requests += requests
        self.unsent += unsent
        self.busy_ns += busy_ns

    def wrong_id(self, peer_id: bytes) -> None:
        """Counts an announce with a wrong connection id; `peer_id` has 20 bytes."""
        client = client_of(peer_id)
        if client not in self.wrong_ids and len(self.wrong_ids) >= MOST_CLIENTS:
            client = OTHERS
        self.wrong_ids[client] = self.wrong_ids.get(client, 0) + 1


class HttpTraffic:
    """Counts the requests of one HTTP listener, refused ones included."""

    __slots__ = ("announces", "scrapes")

    def __init__(self) -> None:
        self.announces = 0
        self.scrapes = 0
