"""The values of the list of torrents that nobody seeds, or seeded late.

Times are dates in Unix microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.ports.lists import ListCursor


@frozen
class SeededTorrent:
    """When a torrent was added and seeded. None = never, or not known."""

    info_hash: bytes  # 20 bytes
    added_us: int | None  # as the site says; else when it was whitelisted or described first
    first_us: int | None  # when the first seeder came
    last_us: int | None  # when the last one went; None also while there is one
    account: int | None  # whose seeder came or went last
    unseeded_us: int | None  # since when there is none: since `last_us`, or since it was added
    waited_us: int | None  # length of time from `added_us` to `first_us`, or until now


@frozen
class SeededPage:
    rows: Sequence[SeededTorrent]
    following: ListCursor | None  # the `after` of the next page; None = there is none
    since: int  # the first event that is counted; -1 = there is no book yet
    seq: int  # up to this one
