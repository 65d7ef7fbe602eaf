"""The values that the ports take and give: frozen data as bytes, integers, and times in Unix
microseconds.

Each API version decides how they look as JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attrs import frozen

from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTED_AT_ONCE: Final = 200
"""Items of a past listing that come in one list: about 20 KB as JSON."""
MAX_NAME: Final = 200
"""Most characters of a key's owner or label: both stay in the log for ever."""
LINE: Final = (
    r"[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*"
)
"""A text of one line, as a regular expression of Python and of JSON Schema: nothing in it controls
a terminal, ends a line or turns its direction around.
"""


def is_line(text: str) -> bool:
    """Tells whether a text that people chose can go into the log, and be shown to others."""
    return re.fullmatch(LINE, text) is not None


def is_key(text: str) -> bool:
    """Tells whether a text can be issued as a key, here or by another site's tracker."""
    return re.fullmatch(r"[0-9A-Za-z_-]{10,64}", text) is not None


def is_name(text: str) -> bool:
    """Tells whether a text can be a key's owner or label: it is one line, and not too long."""
    return 0 < len(text) <= MAX_NAME and is_line(text)


MOST_PERCENT: Final = 10_000
"""The highest percentage of a credit factor."""


@frozen
class Moment:
    """A point of the log: right after an event, or after all events up to a date.

    At most one is given; without both it is the end of the log.
    """

    seq: int | None = None
    time_us: int | None = None  # Unix microseconds

    def is_before(self, other: Moment) -> bool:
        """Tells whether this is the earlier one of two events, or of two dates. Only the log knows
        it of an event and a date, so then it says False.
        """
        if self.seq is not None and other.seq is not None:
            return self.seq < other.seq
        return (
            self.time_us is not None and other.time_us is not None and self.time_us < other.time_us
        )

    def __str__(self) -> str:
        if self.time_us is not None:
            return rfc3339(self.time_us)
        return "now" if self.seq is None else f"event {self.seq}"


@frozen
class HandedQuery:
    """Which replies are meant: those to an account, or those that listed an address."""

    part: LogPart
    account: int | None = None
    address: str | None = None
    port: int | None = None


@frozen
class HandedPage:
    """Replies, ascending, as JSON values."""

    replies: list[dict[str, Any]]
    following: int | None  # where the next page begins; None = this is the last one
    unread: list[str]  # days whose addresses cannot be read
    sought: str | None = None  # pseudonym of the address that was asked for


@frozen
class StaysQuery:
    """Which stays are meant: all that is given must fit."""

    between: tuple[Moment, Moment]  # `Moment()` = the beginning of the log, and its end
    row: int = 0  # begin with this one
    info_hash: bytes | None = None
    address: bytes | None = None  # 4 or 16 bytes
    network: str | None = None  # such as 198.51.100.0/24
    peer_id: bytes = b""  # how it begins
    client: str | None = None  # likewise
    user_agent: str | None = None  # likewise
    key_ref: int | None = None
    account: int | None = None
    listener: int | None = None


@frozen
class StaysPage:
    """Stays in the order in which they began, as JSON values."""

    stays: list[dict[str, Any]]
    following: int | None  # row of the next page; None = this is the last one
    upto: int  # the first event that the index does not have
    unread: list[str]  # days of stays that may be missing: see `Stays.unknown_days`
    sought: str | None = None  # pseudonym of the address or network that was asked for


@frozen
class Actor:
    """The author of an admin change, recorded in the event itself."""

    token: str  # label of the access token, never its value
    address: str  # client address; "" when there is none (unix socket)
    request_id: str
    reason: str = ""
    idempotency_key: str = ""  # the same in a repetition of a request with the same token

    def as_data(self) -> dict[str, str]:
        """The member `by` of the event."""
        who = {"token": self.token, "address": self.address, "request_id": self.request_id}
        more = {"reason": self.reason, "idempotency_key": self.idempotency_key}
        return who | {name: value for name, value in more.items() if value}


@frozen
class NewKey:
    """A key to issue.

    Permanent without either end of its validity; `seconds_valid` counts from now.
    """

    key: str | None = None  # one that `is_key`; None = a random one
    seconds_valid: int | None = None
    valid_until_us: int | None = None
    owner: str | None = None  # the site's name of a user; keys with one owner share an account
    label: str | None = None


@frozen
class IssuedKey:
    key: str  # 32 alphanumeric characters
    valid_until_us: int | None  # Unix microseconds; None = permanent
    key_ref: int


@frozen
class KeyInfo:
    """An issued key. The tracker does not know its text, only the hash."""

    key_ref: int
    key_hash: bytes  # SHA-256 of the key
    state: str  # "valid" | "expired" | "revoked"
    account: int
    owner: str | None
    label: str | None
    valid_until_us: int | None  # Unix microseconds; None = permanent
    account_seen_us: int | None  # last announce with any key of its account; None = never
    used_us: int | None  # last announce with this key; None = never, or before this was recorded

    @property
    def names(self) -> str:
        """What a search looks at."""
        return f"{self.owner or ''}\n{self.label or ''}"


@frozen(kw_only=True)
class FactorTerms:
    """The terms of a credit factor.

    Percentages are 0 to 10000, at least one is given; None leaves that side alone.
    """

    account: int | None = None  # None = every account
    info_hash: bytes | None = None  # 20 bytes; None = every torrent
    upload_percent: int | None = None
    download_percent: int | None = None
    from_us: int | None = None  # a date, Unix microseconds; None = from the moment it is set
    until_us: int | None = None  # the first microsecond it is over; None = until it is ended
    label: str = ""  # "freeleech", "neutral", "double_upload": at most 100 printable characters
    group: str | None = None  # for the accounts of this group; None = `account` says whom it is for


@frozen
class FreeleechTerms:
    """The terms of a freeleech token: one account, one torrent, and when it is over.

    At least one of the three ends is given.
    """

    account: int
    info_hash: bytes  # 20 bytes
    until_us: int | None = None  # a date, Unix microseconds: the first that it is over
    max_bytes: int | None = None  # of download that it frees
    until_completed: bool = False
    label: str = ""  # at most 100 printable characters


@frozen
class FreeleechToken:
    """A freeleech token, and what it has freed. Times are dates, Unix microseconds."""

    number: int
    seq: int  # the event that gave it
    terms: FreeleechTerms
    state: str  # unused, in_use, used_up, completed, withdrawn or expired
    freed: int  # bytes
    given_us: int
    first_us: int | None  # when it freed the first byte
    over_us: int | None


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
    corrects: int  # seq of the wrong event: an announce, a correction, a factor


@frozen
class Account:
    """Totals of an account, in bytes.

    `credited_*` are after factors and corrections, the others as announced.
    """

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
    partial_us: int = 0  # partial seeding, without moments that are in `seeding_us`
    owner: str | None = None  # the site's name of a user; None = it has none
    group: str | None = None  # whose factors count for it; None = it is in none
    merged_into: int | None = None  # the account that has its keys and totals now; None = itself
    merged_us: int | None = None  # date of the merge

    @property
    def names(self) -> str:
        """What a search looks at."""
        return self.owner or ""

    @property
    def ratio_permille(self) -> int | None:
        """Thousandths of credited upload to credited download, rounded down; None = it downloaded
        nothing.
        """
        down = self.credited_downloaded
        return self.credited_uploaded * 1000 // down if down else None


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
    """The counters that the reference's development line adds (contract, section 1.5), since the
    start.

    4 and 6 are the address family of the listener's socket. Times are averages of one request, in
    nanoseconds.
    """

    udp_requests_aborted: int  # answers that the kernel did not accept
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
    """A metric by its name in Prometheus. It has no samples while there is no value."""

    name: str  # ends in `_total` if it is a counter
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
    address: str  # "192.0.2.1:6881" or "[2001:db8::1]:6881"; "" = shredded
    updated_ms: int  # Unix milliseconds of the last announce
    uploaded: int
    downloaded: int
    left: int
    event: str  # "Started" | "Stopped" | "Completed" | "None"


@frozen(kw_only=True)
class TorrentFacts:
    """What the site says about a torrent; None = it says nothing."""

    label: str | None = None
    size: int | None = None  # bytes
    site_id: int | None = None  # the site's number of the torrent
    uploader: str | None = None
    added_us: int | None = None  # Unix microseconds
    tags: tuple[str, ...] | None = None  # never empty


@frozen
class Torrent:
    """Counts and facts of a torrent."""

    summary: TorrentSummary
    facts: TorrentFacts
    least_size: int | None  # bytes, the largest `left` announced; None = none is known
    whitelisted: bool = False

    # What lists sort and filter by.

    @property
    def info_hash(self) -> bytes:
        return self.summary.info_hash

    @property
    def seeders(self) -> int:
        return self.summary.seeders

    @property
    def leechers(self) -> int:
        return self.summary.leechers

    @property
    def completed(self) -> int:
        return self.summary.completed

    @property
    def label(self) -> str | None:
        return self.facts.label

    @property
    def uploader(self) -> str | None:
        return self.facts.uploader

    @property
    def site_id(self) -> int | None:
        return self.facts.site_id

    @property
    def added_us(self) -> int | None:
        return self.facts.added_us

    @property
    def size(self) -> int | None:
        """Bytes: as the site says, else the least that it can have."""
        return self.least_size if self.facts.size is None else self.facts.size

    @property
    def names(self) -> str:
        """What a search looks at."""
        words = self.info_hash.hex(), self.label, self.uploader, *(self.facts.tags or ())
        return "\n".join(filter(None, words))


@frozen
class Client:
    """A client that announces name by number: both texts as they were when it first came."""

    number: int
    peer_id_prefix: str | None  # None = its peer ids name no client
    user_agent: str | None  # None = it sent none; cut to its first bytes


@frozen
class Present:
    """A peer in a swarm. Key and account are 0 where there are none."""

    info_hash: bytes  # 20 bytes
    peer: Peer
    seeder: bool
    key_ref: int  # the key of its announces
    pseudonym: str | None = None  # of its address, on the day of its last announce
    last_seq: int = 0  # the number of its last announce
    account: int = 0


@frozen(kw_only=True)
class LogPart:
    """A part of the log by event number and by date, ends included.

    None = as far as the log goes.
    """

    first: int = 0
    last: int | None = None
    from_us: int | None = None
    to_us: int | None = None


@frozen(kw_only=True)
class EventFilter:
    """Which events are wanted: those that meet every condition that is given."""

    types: frozenset[str] = frozenset()  # empty = every type
    info_hash: bytes | None = None  # 20 bytes
    key_ref: int | None = None
    account: int | None = None


@frozen
class EventPage:
    events: list[dict[str, Any]]  # as `tracker events` prints them, ascending
    following: (
        int | None
    )  # where the next page begins; None = the part, or the durable end, was reached
    end: int  # number of the event after the last durable one that the page could have reached
    previous: int | None = None
    """Of a page of the last events: older ones are before this event; None = there are none."""


@frozen
class CountPage:
    """How many events of a part of the log there are: by the number of the piece of time, and by
    type. `following` and `end` as of `EventPage`; the counts of all pages add up.
    """

    counts: Mapping[int, Mapping[str, int]]
    following: int | None
    end: int


class RefusedTimes(NamedTuple):
    """How often a key's announces of a torrent were refused, as far as the log has it."""

    times: int
    last_us: int  # date of the last one


@frozen
class RefusedPage:
    """Refusals of a part of the log; see `EventPage`."""

    times: Mapping[tuple[bytes, int], RefusedTimes]  # by info hash and `key_ref`
    following: int | None
    end: int


@frozen
class Followed:
    events: list[dict[str, Any]]  # may be empty
    seen: int  # the filter was applied to everything up to this event
    pruned: int | None = None  # announces between `seen` and this event were removed


@frozen
class Refused:
    """The refused requests of one client, for one reason."""

    reason: str
    client: str | None  # from the peer id; "Other" = not recognised, None = there was no peer id
    version: str | None  # from the peer id
    times: int
