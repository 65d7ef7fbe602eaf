"""Limits what an account does: torrents that it leeches at once (slots), its peers on one torrent
(locations), torrents that it starts in a day, and peers that replies hand to it in an hour and a
day.

The policy has the limits of all accounts; an event sets other ones for an account. Where an account
is at a limit, a peer that a crashed client left at the same address gives way to a new one.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import packed, refusals
from tracker.domain.budgets import Budgets
from tracker.domain.directory import NOWHERE

if TYPE_CHECKING:
    from tracker.domain.directory import Directory
    from tracker.domain.settings import Settings
    from tracker.domain.swarms import Swarms

SLOTS, LOCATIONS, STARTED, HANDED_HOUR, HANDED_DAY = range(5)  # words of an account's own limits
KINDS = ("slots", "locations", "started_per_day", "handed_per_hour", "handed_per_day")
"""The limits by these words, as events and the API name them."""
_OF_POLICY = ("leeching_slots", "peers_per_account", *KINDS[STARTED:])

MOST = 1_000_000
"""The largest limit of an account."""

LATE_SECONDS = 60
"""A peer is overdue so long after its reply asked for the next announce."""

NO_BUDGET = 1 << 30
"""What is left to an account without a budget of peers: more than any reply lists."""

_nowhere = NOWHERE  # has a type in the .pxd, as in `directory.py`


class Exemption(NamedTuple):
    """Own limits of an account. A limit is 0 for none, or None for the policy's."""

    seq: int  # the event that set them
    since_us: int  # date of that event
    by: str  # label of the author's access token; "" = not known
    reason: str
    slots: int | None = None
    locations: int | None = None
    started_per_day: int | None = None
    handed_per_hour: int | None = None
    handed_per_day: int | None = None

    @property
    def limits(self) -> tuple[int | None, ...]:
        """The limits in the order of `KINDS`."""
        return self[4:]


class Limits:
    """The limits in force. Only applying events changes them.

    `active` is false where no account has any limit, `counting` where none has one by the hour or
    day, and `handing` where none has a budget of peers. It is always the same object, because the
    announce path holds it.
    """

    __slots__ = (
        "_late_us",
        "_own",
        "_policy",
        "accounts",
        "active",
        "budgets",
        "counting",
        "handing",
    )

    def __init__(self) -> None:
        self.accounts: dict[int, Exemption] = {}
        self._own = array("I")  # by account a word for each kind: the limit and 1; 0 = the policy's
        self._policy = array("I", [0] * len(KINDS))
        self._late_us = 0
        self.active = False
        self.counting = False
        self.handing = False
        self.budgets = Budgets()

    def obey(self, settings: Settings) -> None:
        """Puts the limits of the policy in force; there are none outside of private modes."""
        policy = settings.policy
        for word, name in enumerate(_OF_POLICY):
            self._policy[word] = min(getattr(policy, name), MOST) if settings.private else 0
        late = settings.interval + policy.interval_jitter + LATE_SECONDS
        self._late_us = late * 1_000_000
        self._look()

    def set(self, account: int, own: Exemption) -> None:
        """Gives an account limits of its own; with none of them the policy's count again."""
        if any(limit is not None for limit in own.limits):
            self.accounts[account] = own
        else:
            self.accounts.pop(account, None)
        missing = (account + 1) * len(KINDS) - len(self._own)
        if missing > 0:
            packed.add_words(self._own, missing, 0)
        for word, limit in enumerate(own.limits):
            self._own[account * len(KINDS) + word] = 0 if limit is None else limit + 1
        self._look()

    def _look(self) -> None:
        self.active = any(self._policy) or bool(self.accounts)
        self.handing = self._limited(HANDED_HOUR) or self._limited(HANDED_DAY)
        self.counting = self.handing or self._limited(STARTED)

    def _limited(self, word: int) -> bool:
        """Tells whether anybody has a limit of this kind."""
        return self._policy[word] > 0 or any(own.limits[word] for own in self.accounts.values())

    def counts_slots(self) -> bool:
        """Tells whether anybody's slots are limited, so that leeching peers must be listed."""
        return self._limited(SLOTS)

    def of(self, account: int, word: int) -> int:
        """Returns a limit of an account; 0 = none. `word`: SLOTS to HANDED_DAY."""
        at = account * 5 + word
        own = packed.u32(self._own, at) if at < len(self._own) else 0
        return own - 1 if own else packed.u32(self._policy, word)

    def turn(self, date_us: int, seq: int) -> None:
        """Begins the hour of this date where anything is counted by the hour or day. `seq`: of the
        next event.
        """
        if self.counting:
            self.budgets.turn(date_us, seq)
        elif self.budgets.hour >= 0:
            self.budgets.clear()

    def left(self, account: int) -> int:
        """Returns how many peers may be handed to an account until the hour and the day are over.

        `NO_BUDGET` = any number.
        """
        budgets, found = self.budgets, 1073741824  # NO_BUDGET
        most = self.of(account, 3)  # HANDED_HOUR
        if most:
            used = budgets.used(budgets.handed_hour, account)
            found = most - used if most > used else 0
        most = self.of(account, 4)  # HANDED_DAY
        if most:
            used = budgets.used(budgets.handed_today, account)
            left = most - used if most > used else 0
            if left < found:
                found = left
        return found

    def note(self, account: int, new: bool, info_hash: bytes) -> None:
        """Counts an announce with something left. `new`: its peer was not in the swarm."""
        if self.of(account, 2):  # STARTED
            self.budgets.note(account, info_hash, new)

    def decide(
        self,
        swarms: Swarms,
        torrent: int,
        peer: int,
        account: int,
        info_hash: bytes,
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
        if not (seeder or peer):
            most = self.of(account, 2)  # STARTED
            if (
                most
                and self.budgets.used(self.budgets.started, account) >= most
                and not self.budgets.knows(account, info_hash)
            ):
                return refusals.STARTED_FULL
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
        info_hash: bytes,
        endpoint: bytes,
        v6: bool,
        seeder: bool,
        evicted: int,
        now_us: int,
    ) -> int:
        """Does what `decide` does. Raises `ValueError` for fields of another length."""
        if len(endpoint) != (18 if v6 else 6) or len(info_hash) != 20:
            raise ValueError("an endpoint of 6 or 18 bytes, and an info hash of 20")
        return self.decide(
            swarms, torrent, peer, account, info_hash, endpoint, v6, seeder, evicted, now_us
        )

    def as_data(self) -> list[list[Any]]:
        """Returns the exemptions for JSON, by account."""
        return [[account, *own] for account, own in sorted(self.accounts.items())]

    def set_data(self, data: list[list[Any]]) -> None:
        """Makes an empty object from `as_data`. Raises `TypeError` or `ValueError` for others."""
        for account, *rest in data:
            own = Exemption(*rest)
            numbers = account, own.seq, own.since_us, *(each or 0 for each in own.limits)
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
if (SLOTS, LOCATIONS, STARTED, HANDED_HOUR, HANDED_DAY, len(KINDS)) != (
    (0, 1, 2, 3, 4, 5)
) or NO_BUDGET != 1073741824:
    raise AssertionError("Limits spells these numbers out")
