"""The values of daily series: what an account or a torrent gained on a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence


@frozen
class SeriesDay:
    """One day of a series, by dates in UTC. Amounts are bytes.

    Time is counted on the day of the announce or the leaving that counts it.
    """

    day: int  # number of days since 1970
    uploaded: int  # raw, as announced
    downloaded: int
    credited_uploaded: int  # after factors; an account's are signed, with corrections of that day
    credited_downloaded: int
    seeding_us: int
    completed: int  # completed downloads
    seeders: int | None  # the most at a time; None = of an account
    leechers: int | None


@frozen
class SeriesPage:
    days: Sequence[SeriesDay]  # ascending; only those with a change
    following: int | None  # the last day of the page; None = there is no further one
    since: int  # the series count the events from this one; -1 = there are none yet
    seq: int  # up to this one


@frozen
class SeedingRow:
    """How long an account seeded a torrent in an hour."""

    account: int
    info_hash: bytes
    seeding_us: int
    seeders: int  # of the torrent, at the end of the hour
    size: int | None  # bytes, as the site says, or at least; None = not known
    age_us: int | None  # at the end of the hour, since the site added it; None = not known
