"""Names the parts of the state that events change.

The ledger keeps only the parts that accounting needs, and applies the same events to them
(`ledger/rules.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.domain.access import Access
    from tracker.domain.access_tokens import AccessTokens
    from tracker.domain.accounts import Accounts
    from tracker.domain.bases import Bases
    from tracker.domain.booking import Booking
    from tracker.domain.clients import Clients
    from tracker.domain.dates import Dates
    from tracker.domain.factors import Factors
    from tracker.domain.freeleech import Freeleech
    from tracker.domain.hidden_peers import Hidden
    from tracker.domain.limits import Exemption
    from tracker.domain.listing import Listing
    from tracker.domain.sanctions import ClientRule, Sanction, Sanctions
    from tracker.domain.seeding import Seeding
    from tracker.domain.settings import Settings
    from tracker.domain.staying import Staying
    from tracker.domain.swarms import Swarms
    from tracker.domain.sweep import Sweep
    from tracker.domain.tally import Tally


class Accounting(Protocol):
    """The parts that decide how announces count: settings, dates, factors, freeleech tokens, and
    the accounts themselves.
    """

    dates: Dates
    factors: Factors
    freeleech: Freeleech
    accounts: Accounts

    def change_settings(
        self,
        settings: Settings,
        seq: int,
        by: Mapping[str, str] | None = None,
        file: Settings | None = None,
    ) -> None:
        """Puts the settings of event `seq` in force. `by`, `file`: as in `Origins.note`."""


class Target(Accounting, Protocol):
    """The whole state; `tracker.domain.state.State` is one."""

    settings: Settings
    swarms: Swarms
    access: Access
    sweep: Sweep
    tally: Tally
    clients: Clients
    facts: dict[bytes, str]
    access_tokens: AccessTokens
    hidden: Hidden | None
    listing: Listing
    bases: Bases
    book: Booking | None
    stays: Staying | None
    seeding: Seeding
    sanctions: Sanctions
    gone: list[int | tuple[int, int]] | None
    seq: int
    time_us: int

    def leave(self, torrent: int, peer: int, why: int, remembered: bool = False) -> None:
        """Removes a peer, and counts its time. `why`: a number of `staying`."""

    def settle(self, account: int, torrent: int) -> None:
        """Counts the time of an account's peers in a torrent up to now."""

    def expire(self, torrent: int, peer: int) -> None:
        """Removes a peer that was swept."""

    def sanction(self, account: int, flag: int, sanction: Sanction | None) -> None:
        """Imposes a sanction on an account; None = lifts it. `flag`: of `sanctions`."""

    def limit(self, account: int, own: Exemption) -> None:
        """Gives an account limits of its own."""

    def ban(self, info_hash: bytes, sanction: Sanction | None) -> None:
        """Blacklists a torrent; None = takes it off the blacklist."""

    def block(self, network: str, sanction: Sanction | None) -> None:
        """Blocks a network; None = unblocks it. Raises `ValueError` for what is no network."""

    def rule_client(self, rule: ClientRule) -> None:
        """Adds a rule about a client."""

    def end_client_rule(self, number: int) -> None:
        """Removes a rule about a client. Raises `KeyError` if it is not there."""

    def look_up_started(self) -> None:
        """Has the next announce of each peer looked up among the torrents that accounts started."""
        ...

    def turn_limits(self) -> None:
        """Begins to count anew what is limited by the hour or day, where one begins."""
        ...

    def end_sanctions(self) -> None:
        """Ends the sanctions that are over."""

    def drop_peers(self, why: int) -> None:
        """Removes every peer, torrent and base."""

    def forget_old_bases(self) -> None:
        """Frees the memory of some of the bases that are too old or gone."""

    def compare(self, number: int, digest: int) -> None:
        """Compares a slice with its logged digest. Raises `ReplayError` when they differ."""
