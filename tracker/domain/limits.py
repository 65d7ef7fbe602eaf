"""Limits what an account does at once: torrents that it leeches (slots), and its peers on one
torrent (locations).

The policy has the limits of all accounts; an event sets other ones for an account. Where an account
is at a limit, a peer that a crashed client left at the same address gives way to a new one.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import packed, refusals
from tracker.domain.directory import NOWHERE

if TYPE_CHECKING:
    from tracker.domain.directory import Directory
    from tracker.domain.settings import Settings
    from tracker.domain.swarms import Swarms

SLOTS, LOCATIONS = range(2)  # words of an account's own limits
KINDS = ("slots", "locations")
"""The limits by these words, as events and the API name them."""

MOST = 1_000_000
"""The largest limit of an account."""

LATE_SECONDS = 60
"""A peer is overdue so long after its reply asked for the next announce."""

_nowhere = NOWHERE  # has a type in the .pxd, as in `directory.py`


class Exemption(NamedTuple):
    """Own limits of an account. A limit is 0 for none, or None for the policy's."""

    seq: int  # the event that set them
    since_us: int  # date of that event
    by: str  # label of the author's access token; "" = not known
    reason: str
    slots: int | None
    locations: int | None


class Limits:
    """The limits in force. Only applying events changes them.

    `active` is false where no account has any limit. It is always the same object, because the
    announce path holds it.
    """

    __slots__ = ("_late_us", "_locations", "_own", "_slots", "accounts", "active")

    def __init__(self) -> None:
        self.accounts: dict[int, Exemption] = {}
        self._own = array("I")  # by account SLOTS and LOCATIONS: the limit and 1; 0 = the policy's
        self._slots = 0
        self._locations = 0
        self._late_us = 0
        self.active = False

    def obey(self, settings: Settings) -> None:
        """Puts the limits of the policy in force; there are none outside of private modes."""
        policy = settings.policy
        self._slots = min(policy.leeching_slots, MOST) if settings.private else 0
        self._locations = min(policy.peers_per_account, MOST) if settings.private else 0
        late = settings.interval + policy.interval_jitter + LATE_SECONDS
        self._late_us = late * 1_000_000
        self._look()

    def set(self, account: int, own: Exemption) -> None:
        """Gives an account limits of its own; with none of them the policy's count again."""
        if own.slots is None and own.locations is None:
            self.accounts.pop(account, None)
        else:
            self.accounts[account] = own
        missing = 2 * account + 2 - len(self._own)
        if missing > 0:
            packed.add_words(self._own, missing, 0)
        for word, limit in enumerate((own.slots, own.locations)):
            self._own[2 * account + word] = 0 if limit is None else limit + 1
        self._look()

    def _look(self) -> None:
        self.active = bool(self._slots or self._locations or self.accounts)

    def counts_slots(self) -> bool:
        """Tells whether anybody's slots are limited, so that leeching peers must be listed."""
        return self._slots > 0 or any(own.slots for own in self.accounts.values())

    def of(self, account: int, word: int) -> int:
        """Returns a limit of an account; 0 = none. `word`: SLOTS or LOCATIONS."""
        at = account * 2 + word
        own = packed.u32(self._own, at) if at < len(self._own) else 0
        if own:
            return own - 1
        return self._locations if word else self._slots

    def decide(
        self,
        swarms: Swarms,
        torrent: int,
        peer: int,
        account: int,
        endpoint: bytes,
        v6: bool,
        seeder: bool,
        evicted: int,
        now_us: int,
    ) -> int:
        """Decides an announce of an account that is no `stopped`.

        Args:
            torrent: 0 = new.
            peer: 0 = new.
            endpoint: from which it comes, address and port.
            seeder: nothing is left.
            evicted: the peer at this endpoint that must leave in any case, 0 = none.

        Returns:
            A refusal (negative), the peer that gives way (positive), or 0.
        """
        leaves = evicted if evicted and swarms.account_of(evicted) == account else 0
        way = 0
        most = self.of(account, 1) if torrent and not peer else 0  # LOCATIONS
        if most and len(swarms.of_account(torrent, account)) - (leaves != 0) >= most:
            way = 0 if evicted else self._there(swarms, torrent, account, endpoint, v6, False)
            if not way:
                return refusals.ACCOUNT_FULL
        if seeder or (peer and not swarms.seeds(peer)):
            return way
        most = self.of(account, 0)  # SLOTS
        used = swarms.leeching(account) if most else 0
        if not most or used - (_leeches(swarms, leaves) or _leeches(swarms, way)) < most:
            return way
        if not (evicted or way):
            if torrent:
                way = self._there(swarms, torrent, account, endpoint, v6, True)
            if not way and used == most:
                way = self._overdue(swarms, account, endpoint, v6, now_us)
            if way:
                return way
        return refusals.SLOTS_FULL

    def _there(
        self, swarms: Swarms, torrent: int, account: int, endpoint: bytes, v6: bool, leeching: bool
    ) -> int:
        """Returns the account's peer on a torrent at the same address that announced longest ago;
        0 = none. `leeching`: only one with something left.
        """
        found, found_seq = 0, 0
        for each in swarms.of_account(torrent, account):
            one = each
            if not _same_address(swarms, one, endpoint, v6) or (leeching and swarms.seeds(one)):
                continue
            _, seq = packed.standing(swarms.rows, one * 72)
            if not found or seq < found_seq:
                found, found_seq = one, seq
        return found

    def _overdue(self, swarms: Swarms, account: int, endpoint: bytes, v6: bool, now_us: int) -> int:
        """Returns the account's most overdue leeching peer at the same address; 0 = none is."""
        found, found_seq = 0, 0
        one = swarms.leechers.first(account)
        while one:
            if packed.seen_us(swarms.rows, one * 72) + self._late_us < now_us and _same_address(
                swarms, one, endpoint, v6
            ):
                _, seq = packed.standing(swarms.rows, one * 72)
                if not found or seq < found_seq:
                    found, found_seq = one, seq
            one = swarms.leechers.after(one)
        return found

    # For explanations, with fields that are objects; the announce path does not call it.

    def decides(
        self,
        swarms: Swarms,
        torrent: int,
        peer: int,
        account: int,
        endpoint: bytes,
        v6: bool,
        seeder: bool,
        evicted: int,
        now_us: int,
    ) -> int:
        """Does what `decide` does. Raises `ValueError` for an endpoint of another length."""
        if len(endpoint) != (18 if v6 else 6):
            raise ValueError("an endpoint of 6 or 18 bytes")
        return self.decide(swarms, torrent, peer, account, endpoint, v6, seeder, evicted, now_us)

    def as_data(self) -> list[list[Any]]:
        """Returns the exemptions for JSON, by account."""
        return [[account, *own] for account, own in sorted(self.accounts.items())]

    def set_data(self, data: list[list[Any]]) -> None:
        """Makes an empty object from `as_data`. Raises `TypeError` or `ValueError` for others."""
        for account, *rest in data:
            own = Exemption(*rest)
            numbers = account, own.seq, own.since_us, own.slots or 0, own.locations or 0
            if not all(type(each) is int and 0 <= each < 1 << 63 for each in numbers):
                raise ValueError("something else stands in the place of a limit")
            if not (account < 1 << 32 and max(numbers[3:]) <= MOST):
                raise ValueError("a limit of no account, or too large a one")
            if type(own.by) is not str or type(own.reason) is not str:
                raise ValueError("a limit without an author")
            self.set(account, own)


def _leeches(swarms: Swarms, peer: int) -> bool:
    return peer != 0 and not swarms.seeds(peer)


def _same_address(swarms: Swarms, peer: int, endpoint: bytes, v6: bool) -> bool:
    """Tells whether a peer is listed at the address of an endpoint, at any port."""
    directory: Directory = swarms.v6 if v6 else swarms.v4
    place = directory.position(peer)
    if place == _nowhere:
        return False
    width = 16 if v6 else 4
    address = endpoint[:width]
    return packed.has_endpoint(directory.addresses, address, place * (width + 2), width)


# Fails when one of these constants changes, because the code above has literals in their place.
if (SLOTS, LOCATIONS) != (0, 1):
    raise AssertionError("Limits spells these numbers out")
