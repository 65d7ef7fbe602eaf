"""The values about sanctions that the ports take and give."""

from __future__ import annotations

from typing import Final

from attrs import frozen

NAMING: Final = 8
"""Characters at the beginning of a peer id that name the client and its version (BEP 20)."""
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

    def problem(self) -> str | None:
        """Says why these terms name no client or no versions; None = they do."""
        name, first, last = self.client, self.first, self.last
        if not (0 < len(name) <= NAMING and name.isascii() and name.isprintable()):
            return f"client: expected the beginning of its peer ids, 1 to {NAMING} characters"
        versions = len(first) == len(last) <= NAMING - len(name) and (first + last).isascii()
        if not (versions and (first + last).isprintable() and first <= last):
            return (
                "first, last: expected two versions of the same length, as in a peer id "
                "(4500 and 4599 of -qB4500-), the lower one first"
            )
        return None


@frozen
class ClientUse:
    """Who uses some versions of a client now."""

    peers: int
    members: int  # accounts with such a peer; 0 in public modes
    torrents: int
    torrents_alone: int  # that nobody else seeds
