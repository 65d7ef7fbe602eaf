"""What the API may see of the tracker: one side to read (`History`, `ReadModel`), one to write (`Commands`).

The values here are plain frozen data in the tracker's own terms (bytes, integers, Unix milliseconds).
How they look as JSON is the business of each API version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class CommandError(Exception):
    """A command was not done. Nothing was appended to the log, but for `LogUnavailableError`."""


class UnknownKeyError(CommandError):
    """The tracker key to revoke was never issued, or is revoked already."""


class DuplicateKeyError(CommandError):
    """The tracker key to add exists already."""


class InvalidDurationError(CommandError):
    """A key's validity would end after the last representable date."""


class LogUnavailableError(CommandError):
    """The log cannot take the event now; whether an earlier attempt was kept is unknown."""


@frozen
class Actor:
    """Who asked for an admin change: recorded in the event itself."""

    token: str  # label of the access token, never its value
    address: str  # client address; "" when there is none (unix socket)
    request_id: str
    reason: str = ""

    def as_data(self) -> dict[str, str]:
        """The `by` of an event."""
        who = {"token": self.token, "address": self.address, "request_id": self.request_id}
        return {**who, "reason": self.reason} if self.reason else who


@frozen
class IssuedKey:
    key: str  # 32 alphanumeric characters
    valid_until_us: int | None  # Unix microseconds; None = permanent


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
class TorrentSummary:
    info_hash: bytes  # 20 bytes
    seeders: int
    completed: int
    leechers: int


@frozen
class Peer:
    peer_id: bytes  # 20 bytes
    client: str | None  # name read from the peer id, None = not recognised
    address: str  # "192.0.2.1:6881" or "[2001:db8::1]:6881"
    updated_ms: int  # Unix milliseconds of the last announce
    uploaded: int
    downloaded: int
    left: int
    event: str  # "Started" | "Stopped" | "Completed" | "None"


@frozen
class Torrent:
    summary: TorrentSummary
    peers: Iterable[Peer]  # to be consumed once; may be consumed with checkpoints between items


class ReadModel(Protocol):
    """The projection at one moment. Calls are synchronous; iterators may be consumed with checkpoints between items."""

    def stats(self) -> Stats: ...

    def torrents(self, offset: int, limit: int) -> Iterator[TorrentSummary]:
        """At most `limit` torrents in ascending order of info hash, after skipping `offset`."""
        ...

    def summary(self, info_hash: bytes) -> TorrentSummary | None: ...

    def torrent(self, info_hash: bytes) -> Torrent | None: ...


class History(Protocol):
    def at(self, moment: None = None) -> ReadModel:
        """The read model at a moment; `None` is now."""
        ...


class Commands(Protocol):
    """Admin writes. Each returns after its event is on stable storage, or raises `CommandError`.

    A command that changes nothing (a torrent whitelisted twice) appends nothing; it too returns only when
    the event that it agrees with is on stable storage.
    """

    async def whitelist_add(self, info_hash: bytes, by: Actor) -> None: ...

    async def whitelist_remove(self, info_hash: bytes, by: Actor) -> None: ...

    async def issue_key(self, seconds_valid: int | None, by: Actor) -> IssuedKey:
        """Raises `InvalidDurationError`."""
        ...

    async def add_key(self, key: str, seconds_valid: int | None, by: Actor) -> IssuedKey:
        """Raises `DuplicateKeyError`, `InvalidDurationError`."""
        ...

    async def revoke_key(self, key: str, by: Actor) -> None:
        """Raises `UnknownKeyError`."""
        ...
