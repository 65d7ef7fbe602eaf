"""What the API may see of the tracker: one side to read (`History`, `ReadModel`; of the process `Gauges`), one to
write (`Commands`).

The values here are plain frozen data in the tracker's own terms (bytes, integers, Unix milliseconds).
How they look as JSON is the business of each API version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")

LISTED_AT_ONCE: Final = 200
"""Items of a past listing that come together: about 20 KB as JSON."""


class CommandError(Exception):
    """A command was not done. Nothing was appended to the log, but for `LogUnavailableError`."""


class UnknownKeyError(CommandError):
    """The tracker key, or `key_ref`, was never issued; a key may also be revoked already."""


class RevokedKeyError(CommandError):
    """The key of that `key_ref` is revoked already, or the one that an idempotency key stands for."""


class DuplicateKeyError(CommandError):
    """The tracker key to add exists already."""


class InvalidDurationError(CommandError):
    """A key's validity would end after the last representable date."""


class RepeatedRequestError(CommandError):
    """An idempotency key came again with another request."""


class InvalidFactorError(CommandError):
    """A credit factor cannot be as it was asked for; the text says why."""


class UnknownFactorError(CommandError):
    """No credit factor was ever set under this number."""


class UnknownAccountError(CommandError):
    """No key was ever issued to this account."""


class InvalidCorrectionError(CommandError):
    """A correction cannot be as it was asked for; the text says why."""


class LogUnavailableError(CommandError):
    """The log cannot take the event now; whether an earlier attempt was kept is unknown."""


TAKES_NOTHING_IN = "the log takes nothing in now: its disk is full, or cannot be written"
"""What `LogUnavailableError` does not say; clients of the API are told less."""


class BusyError(Exception):
    """What was asked for takes long, and too many are asking for it; the text says what to do."""


class NoMomentError(Exception):
    """The log does not hold that moment; the text says which ones it holds."""


class PrunedMomentError(NoMomentError):
    """That moment is before the first event that is kept."""

    def __init__(self, first_seq: int) -> None:
        super().__init__(first_seq)
        self.first_seq = first_seq

    def __str__(self) -> str:
        return f"the log begins with event {self.first_seq}: what was before is not kept"


@frozen
class Moment:
    """After an event, or when all events up to a log time had happened: exactly one of the two is given."""

    seq: int | None = None
    time_us: int | None = None  # Unix microseconds


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


class ReadModel(Protocol):
    """The projection at one moment. Calls are synchronous; iterators may be consumed with checkpoints between items."""

    def stats(self) -> Stats: ...

    def torrents(self, offset: int, limit: int) -> Iterator[TorrentSummary | None]:
        """At most `limit` torrents in ascending order of info hash, after skipping `offset`.

        None = nothing to tell yet, a pause may be made.
        """
        ...

    def summaries(self, info_hashes: Iterable[bytes]) -> Iterator[TorrentSummary]:
        """In the order asked for, repetitions included, unknown ones left out."""
        ...

    def summary(self, info_hash: bytes) -> TorrentSummary | None: ...

    def peers(self, info_hash: bytes) -> Iterator[Peer]:
        """The torrent's peers, in no order; none for a torrent that is not known."""
        ...

    def keys(self, after: int) -> Iterator[KeyInfo]:
        """Keys whose `key_ref` is larger than `after`, ascending. Of a key that was revoked and issued again, the latest."""
        ...

    def key(self, key_ref: int) -> KeyInfo | None:
        """The key that got this number: one that was issued again has another `key_ref` now."""
        ...

    def key_of_hash(self, key_hash: bytes) -> KeyInfo | None:
        """By the SHA-256 of the key."""
        ...

    def whitelist(self, after: bytes) -> Iterator[bytes]:
        """Whitelisted info hashes larger than `after` (b"" = all), ascending."""
        ...

    def whitelisted(self, info_hash: bytes) -> bool: ...

    def settings(self) -> tuple[int | None, Mapping[str, Any]]:
        """What decisions depend on, as the log has it, and the event that put it in force (None = none did)."""
        ...

    def refusals(self) -> Mapping[str, int]:
        """Requests refused since the log began, by reason."""
        ...

    def refused_clients(self) -> Iterator[Refused]:
        """The same by client; a few thousand at most, in the order of clients, versions and reasons."""
        ...

    def present(self, account: int) -> Iterator[Present | None]:
        """The account's peers in all swarms now; None = nothing to tell yet, a pause may be made."""
        ...

    def account(self, account: int) -> Account | None:
        """Totals of an account; None for a number that is none. Per torrent they are not kept at hand: they are
        sums over the ledger (`tracker.ledger`, docs/audit.md)."""
        ...

    def factor(self, number: int) -> Factor | None:
        """A credit factor that is not over."""
        ...

    def factors(self, after: int) -> Iterator[Factor]:
        """Credit factors in force and to come whose number is larger than `after`, ascending."""
        ...


class History(Protocol):
    def at(self, moment: None = None) -> ReadModel:
        """The read model now. Other moments: `Past`."""
        ...


class Past(Protocol):
    """The read model at moments that are over, up to the durable end. A question makes one call of it.

    Nothing holds up the loop; the answer may take a replay of the log. Raises `NoMomentError`, `BusyError`, and what reading
    the log does.
    """

    async def ask(self, moment: Moment, question: Callable[[ReadModel], T]) -> T: ...

    def each(
        self, moment: Moment, question: Callable[[ReadModel], Iterator[T | None]]
    ) -> AsyncGenerator[list[T], None]:
        """What a call iterates over, `LISTED_AT_ONCE` items at a time; a list with fewer is the last one."""
        ...


class Gauges(Protocol):
    """How the process itself is doing. Calls are synchronous, and cost a millisecond or so."""

    def udp(self) -> UdpStats: ...

    def metrics(self) -> list[Metric]: ...


class Journal(Protocol):
    """The durable part of the log. No call holds up the loop; each raises what reading the log does."""

    @property
    def event_types(self) -> Sequence[str]: ...

    @property
    def end(self) -> int:
        """The number that the event after the last durable one will get."""
        ...

    async def read(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        """At most `limit` events of a part of the log; fewer after about a second of work, and after three in any case. Raises
        `PrunedMomentError` when what was being read is removed."""
        ...

    def follow(self, after: int | None, wanted: EventFilter) -> AsyncGenerator[Followed, None]:
        """Events beyond `after` (None = from now on) as they become durable, until the tracker stops.

        Gives something several times a second, be it empty. What is not asked for waits in the log.
        """
        ...

    async def ledger(
        self,
        account: int,
        info_hash: bytes | None,
        moment: Moment | None,
        after: int,
        limit: int,
    ) -> str:
        """A page of an account's ledger up to a moment (None = now), as JSON text. The first one takes as long as reading the log
        up to there, the next ones what lies between. Raises `BusyError`, `NoMomentError`; `PrunedMomentError` also when what
        comes after `after` was removed."""
        ...

    async def account_totals(
        self, account: int, moment: Moment | None, after: bytes | None, limit: int
    ) -> str:
        """A page of an account's sums by torrent, as JSON text; as `ledger` otherwise."""
        ...

    async def torrent_totals(
        self, info_hash: bytes, moment: Moment | None, after: int | None, limit: int
    ) -> str:
        """The same of a torrent's by account."""
        ...


class Commands(Protocol):
    """Admin writes. Each returns after its event is on stable storage, or raises `CommandError`.

    A command that changes nothing (a torrent whitelisted twice) appends nothing; it too returns only when
    the event that it agrees with is on stable storage.
    """

    async def whitelist_add(self, info_hashes: Iterable[bytes], by: Actor) -> list[bytes]:
        """The torrents that were not on the whitelist before."""
        ...

    async def whitelist_remove(self, info_hash: bytes, by: Actor) -> bool:
        """Whether it was on the whitelist."""
        ...

    async def issue_key(self, new: NewKey, by: Actor) -> IssuedKey:
        """With an idempotency key, a repetition gets the key of the first time.

        Raises `DuplicateKeyError`, `InvalidDurationError`, `RepeatedRequestError`, `RevokedKeyError`.
        """
        ...

    async def import_keys(self, new: Sequence[NewKey], by: Actor) -> list[int]:
        """All of the keys, each of which is given, or none; returns their `key_ref`s. With an idempotency key, a repetition
        gets the same ones, and takes what a crash had left out.

        Raises `DuplicateKeyError`, `InvalidDurationError` (the text names the first one at fault), `RepeatedRequestError`.
        """
        ...

    async def label_key(self, key_ref: int, label: str | None, by: Actor) -> None:
        """Raises `UnknownKeyError`, `RevokedKeyError`."""
        ...

    async def rotate_key(self, key_ref: int, by: Actor) -> IssuedKey:
        """Revoke a key and issue a random one in its place: same account, owner, label and validity.

        Raises `UnknownKeyError`, `RevokedKeyError`, `RepeatedRequestError`.
        """
        ...

    async def revoke_key(self, key: str, by: Actor) -> None:
        """Raises `UnknownKeyError`."""
        ...

    async def revoke_key_ref(self, key_ref: int, by: Actor) -> None:
        """Raises `UnknownKeyError`, `RevokedKeyError`."""
        ...

    async def set_factor(self, terms: FactorTerms, by: Actor) -> Factor:
        """Put a credit factor in force, now or later. One that says the same and is not over is given back.

        Raises `InvalidFactorError`.
        """
        ...

    async def end_factor(self, number: int, by: Actor) -> None:
        """End a factor before its time; one that is over is left alone. Raises `UnknownFactorError`."""
        ...

    async def correct(self, asked: Correction, by: Actor) -> int:
        """Returns the seq of the event. `by.reason` must not be empty; with the same `by.idempotency_key` the
        same correction is made once.

        Raises `UnknownAccountError`, `InvalidCorrectionError`, `RepeatedRequestError`.
        """
        ...
