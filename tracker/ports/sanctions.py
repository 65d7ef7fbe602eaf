"""The values about sanctions that the ports take and give."""

from __future__ import annotations

from typing import Final

from attrs import frozen

ACCOUNT_SANCTIONS: Final = ("leech_off", "hidden")
"""The sanctions that an account can have."""


@frozen
class Sanction:
    """Why, since when and until when something stands. Times are dates, in Unix microseconds."""

    seq: int  # the event that imposed it
    since_us: int
    until_us: int | None  # ends with the first tick from then on; None = by an event only
    by: str  # label of the author's access token; "" = not known
    reason: str
    public: bool  # clients that are refused by it get the reason


@frozen
class Blacklisted:
    """A torrent that is refused in all modes."""

    info_hash: bytes
    sanction: Sanction


@frozen
class Block:
    """A network from which announces are refused."""

    network: str  # as 198.51.100.0/24 or 2001:db8::/48
    sanction: Sanction


@frozen
class SanctionedAccount:
    """An account with its sanctions, in the order of `ACCOUNT_SANCTIONS`; None = not that one."""

    account: int
    owner: str | None
    leech_off: Sanction | None
    hidden: Sanction | None
