"""The values that the ports take and give: plain frozen data in the tracker's own terms (bytes, integers, times in Unix microseconds).

How they look as JSON is the business of each API version.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from tracker.times import rfc3339

LISTED_AT_ONCE: Final = 200
"""Items of a past listing that come together: about 20 KB as JSON."""


@frozen
class Moment:
    """After an event, or when all events up to a log time had happened: exactly one of the two is given."""

    seq: int | None = None
    time_us: int | None = None  # Unix microseconds

    def __str__(self) -> str:
        return f"event {self.seq}" if self.time_us is None else rfc3339(self.time_us)


@frozen
class Actor:
    """Who asked for an admin change: recorded in the event itself."""

    token: str  # label of the access token, never its value
    address: str  # client address; "" when there is none (unix socket)
    request_id: str
    reason: str = ""
    idempotency_key: str = ""  # what marks a repetition of an earlier request of the same token

    def as_data(self) -> dict[str, str]:
        """The `by` of an event."""
        who = {"token": self.token, "address": self.address, "request_id": self.request_id}
        more = {"reason": self.reason, "idempotency_key": self.idempotency_key}
        return who | {name: value for name, value in more.items() if value}


@frozen
class NewKey:
    """A key to issue. Permanent without either end of its validity; `seconds_valid` counts from now."""

    key: str | None = None  # 32 alphanumeric characters; None = a random one
    seconds_valid: int | None = None
    valid_until_us: int | None = None
    owner: str | None = (
        None  # the site's name for whose key it is: all keys of one share an account
    )
    label: str | None = None


@frozen
class IssuedKey:
    key: str  # 32 alphanumeric characters
    valid_until_us: int | None  # Unix microseconds; None = permanent
    key_ref: int


@frozen
class KeyInfo:
    """What is known of a key that was issued; the key itself is not."""

    key_ref: int
    key_hash: bytes  # SHA-256 of the key
    state: str  # "valid" | "expired" | "revoked"
    account: int
    owner: str | None
    label: str | None
    valid_until_us: int | None  # Unix microseconds; None = permanent
    account_seen_us: int | None  # last announce with any key of its account; None = never
    used_us: int | None  # last announce with this one; None = never, or before that was kept


@frozen(kw_only=True)
class FactorTerms:
    """What a credit factor says. Percentages 0 to 10000, at least one of them; None leaves that side alone."""

    account: int | None = None  # None = every account
    info_hash: bytes | None = None  # 20 bytes; None = every torrent
    upload_percent: int | None = None
    download_percent: int | None = None
    from_us: int | None = None  # log time, Unix microseconds; None = from the moment it is set
    until_us: int | None = None  # the first microsecond it is over; None = until it is ended
    label: str = ""  # "freeleech", "neutral", "double_upload": at most 100 printable characters


@frozen
class Factor:
    number: int
    seq: int  # the event that set it
    terms: FactorTerms  # `from_us` is never None here


@frozen
class Correction:
    """Amounts to add to an account's credited totals."""

    account: int
    uploaded: int  # bytes, signed
    downloaded: int
    corrects: int  # seq of the event that it makes good: an announce, a correction, a factor


@frozen
class Account:
    """Totals of an account. Bytes; `credited_*` after factors and corrections, the others as announced."""

    account: int  # number of its first key
    uploaded: int
    downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    seeding_us: int
    sessions: int
    snatched: int
    first_us: int | None  # Unix microseconds of the first announce; None = there was none
    last_us: int | None


@frozen
class Stats:
    """The counters of `GET /api/v1/stats`, in the order of the contract (section 1.5)."""

    torrents: int
    seeders: int
    completed: int
    leechers: int
    tcp4_connections_handled: int
    tcp4_announces_handled: int
    tcp4_scrapes_handled: int
    tcp6_connections_handled: int
    tcp6_announces_handled: int
    tcp6_scrapes_handled: int
    udp4_connections_handled: int
    udp4_announces_handled: int
    udp4_scrapes_handled: int
    udp6_connections_handled: int
    udp6_announces_handled: int
    udp6_scrapes_handled: int


@frozen
class UdpStats:
    """What the reference's development line adds to its counters (contract, section 1.5). Since the start, by listener:
    4 and 6 are the family of the socket. Times are of a request, in nanoseconds."""

    udp_requests_aborted: int  # answers that the system did not take
    udp_requests_banned: int
    udp_banned_ips_total: int  # now
    udp_avg_connect_processing_time_ns: int
    udp_avg_announce_processing_time_ns: int
    udp_avg_scrape_processing_time_ns: int
    udp4_requests: int
    udp4_responses: int
    udp4_errors_handled: int
    udp6_requests: int
    udp6_responses: int
    udp6_errors_handled: int


Labels = tuple[tuple[str, str], ...]
"""Names and values, in the order of the names."""


@frozen
class Sample:
    value: float
    labels: Labels = ()


@frozen
class Metric:
    """A metric by its name in Prometheus; without samples while there is nothing to tell."""

    name: str  # of a counter it ends in `_total`
    kind: str  # "counter" | "gauge"
    help: str
    samples: tuple[Sample, ...]


@frozen
class TorrentSummary:
    info_hash: bytes  # 20 bytes
    seeders: int
    completed: int
    leechers: int


@frozen
class Peer:
    peer_id: bytes  # 20 bytes
    client: str | None  # name read from the peer id, None = not recognised
    address: str  # "192.0.2.1:6881" or "[2001:db8::1]:6881"; "" = it was shredded
    updated_ms: int  # Unix milliseconds of the last announce
    uploaded: int
    downloaded: int
    left: int
    event: str  # "Started" | "Stopped" | "Completed" | "None"


@frozen
class Present:
    """A peer of an account, in a swarm now."""

    info_hash: bytes  # 20 bytes
    peer: Peer
    seeder: bool
    key_ref: int  # the key it came with


@frozen(kw_only=True)
class LogPart:
    """Events by number and by log time, all ends included. None = as far as the log goes."""

    first: int = 0
    last: int | None = None
    from_us: int | None = None
    to_us: int | None = None


@frozen(kw_only=True)
class EventFilter:
    """All that is given must hold."""

    types: frozenset[str] = frozenset()  # empty = every type
    info_hash: bytes | None = None  # 20 bytes
    key_ref: int | None = None
    account: int | None = None


@frozen
class EventPage:
    events: list[dict[str, Any]]  # as `tracker events` prints them, ascending
    following: (
        int | None
    )  # the next event to look at; None = the part, or the durable end, was reached
    end: int  # the number of the event after the last durable one; all before it was within reach of the page


@frozen
class Followed:
    events: list[dict[str, Any]]  # may be empty
    seen: int  # everything up to this event was looked at
    pruned: int | None = None  # announces after `seen` and before this event were removed


@frozen
class Refused:
    """Requests of one client that were refused for one reason."""

    reason: str
    client: (
        str | None
    )  # name read from the peer id, "Other" = not recognised; None = the request had no peer id
    version: str | None  # as the peer id states it
    times: int
