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


@frozen
class ClientRule:
    """Versions of a client that are refused from a date on, and get a warning until then."""

    number: int
    client: str  # the beginning of its peer_ids, such as -qB
    first: str  # versions: the characters behind it, in the order of ASCII; "" = all
    last: str
    from_us: int
    in_force: bool
    sanction: Sanction  # without an end


@frozen
class ClientRuleTerms:
    """The terms of a new rule about a client."""

    client: str
    first: str = ""
    last: str = ""
    from_us: int | None = None  # a date; None = at once
    public: bool = False


@frozen
class ClientUse:
    """Who uses some versions of a client now."""

    peers: int
    members: int  # accounts with such a peer; 0 in public modes
    torrents: int
    torrents_alone: int  # that nobody else seeds
