"""What changed since a position in the log, as the API sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.ports.values import Account, TorrentSummary

Item = TypeVar("Item", covariant=True)


@frozen
class ChangesQuery:
    """Which page of changes is wanted."""

    since: int  # `ChangesPage.seq` of an earlier answer; 0 = everything
    limit: int
    after: tuple[int, int] | None = None  # `following` of the page before


@frozen
class ChangesPage(Generic[Item]):
    """At least all that changed; what changed meanwhile comes again with the next question."""

    items: Sequence[Item]
    following: tuple[int, int] | None  # the `after` of the next page; None = there is none
    seq: int  # where the next question begins, once all pages were read


class Changes(Protocol):
    """What changed of the live tracker since a position. A position belongs to one epoch."""

    @property
    def log_id(self) -> str: ...

    @property
    def epoch(self) -> int:
        """It changes with each start, and after a failed write."""
        ...

    async def accounts(self, query: ChangesQuery) -> ChangesPage[Account] | None:
        """Totals of accounts. Their time of seeding is that up to their last announces.

        None = what changed since then is not known any more.
        """
        ...

    async def torrents(self, query: ChangesQuery) -> ChangesPage[TorrentSummary] | None:
        """Counts of torrents, also of those that have no peers any more, likewise."""
        ...
