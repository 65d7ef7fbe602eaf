"""The values about limits of accounts that the ports take and give."""

from __future__ import annotations

from attrs import frozen


@frozen
class OwnLimits:
    """Limits that staff gave an account in place of the policy's: 0 = none, None = the policy's."""

    slots: int | None = None  # torrents that it leeches at once
    locations: int | None = None  # its peers on one torrent
    started_per_day: int | None = None  # torrents that it starts
    handed_per_hour: int | None = None  # peers in replies to it
    handed_per_day: int | None = None


@frozen
class LimitsOfAccount:
    """What an account may do, and what it uses of that; 0 = no limit."""

    account: int
    owner: str | None
    slots: int
    slots_used: int
    locations: int
    started_per_day: int
    started_today: int  # counted where they are limited, and so are these
    handed_per_hour: int
    handed_this_hour: int
    handed_per_day: int
    handed_today: int
    own: OwnLimits
    # The event with its own limits; None = it has none.
    seq: int | None = None
    since_us: int | None = None  # a date
    by: str | None = None  # label of the author's access token
    reason: str | None = None
