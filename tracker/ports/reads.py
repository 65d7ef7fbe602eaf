"""The ports that read: the tracker now, at a past moment, its events, its ledgers, and how the process does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence

    from tracker.ports.values import (
        Account,
        EventFilter,
        EventPage,
        Factor,
        Followed,
        KeyInfo,
        LogPart,
        Metric,
        Moment,
        Peer,
        Present,
        Refused,
        Stats,
        TorrentSummary,
        UdpStats,
    )

T = TypeVar("T")


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
        sums over the ledger (`tracker.ledger.account`, docs/audit.md)."""
        ...

    def factor(self, number: int) -> Factor | None:
        """A credit factor that is not over."""
        ...

    def factors(self, after: int) -> Iterator[Factor]:
        """Credit factors in force and to come whose number is larger than `after`, ascending."""
        ...


class Live(Protocol):
    """The tracker as it is."""

    def now(self) -> ReadModel:
        """The read model of this moment; it is out of date after the next await."""
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


class Events(Protocol):
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


class Ledgers(Protocol):
    """The announces and corrections behind an account's totals. Each call reads the log in another process."""

    async def entries(
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
        """A page of an account's sums by torrent, as JSON text; as `entries` otherwise."""
        ...

    async def torrent_totals(
        self, info_hash: bytes, moment: Moment | None, after: int | None, limit: int
    ) -> str:
        """The same of a torrent's by account."""
        ...
