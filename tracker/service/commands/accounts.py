"""Merges accounts, and splits keys off an account.

The functions decide by the state, and return the event to append. They change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from tracker import ports
from tracker.domain import moving
from tracker.domain.accounts import MOST
from tracker.domain.events.admin import AccountMerged, AccountSplit
from tracker.domain.freeleech import IN_USE, UNUSED
from tracker.domain.moved import Moved
from tracker.domain.sanctions import KINDS
from tracker.service.commands import pending
from tracker.service.commands.checks import check_account
from tracker.service.commands.writing import Writing
from tracker.service.read_model import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.domain.access import Access
    from tracker.domain.events.admin import KeysMoved
    from tracker.domain.state import State

MOST_KEYS = 5000
"""Largest number of keys that one split moves, in an event of 60 KB then."""


class AccountCommands(Writing):
    async def merge(self, account: int, into: int, by: ports.Actor) -> ports.MoveDone:
        async with self._answer(pending.account(account), pending.account(into)):
            now = self._service.now_us()
            event = merging(self._service.state, account, into, by.reason, now)
            return self._moved(event, by, now)

    async def split(self, account: int, terms: ports.SplitTerms, by: ports.Actor) -> ports.MoveDone:
        async with self._answer(pending.account(account)):
            now = self._service.now_us()
            event = splitting(self._service.state, account, terms, by.reason)
            return self._moved(event, by, now)

    def _moved(self, event: KeysMoved, by: ports.Actor, now: int) -> ports.MoveDone:
        self._need_room()
        return ports.MoveDone(self._append(event, by, now), event.to)

    async def preview_merge(self, account: int, into: int, by: ports.Actor) -> ports.MovePreview:
        state, now = self._service.state, self._service.now_us()
        async with self._answer(pending.account(account), pending.account(into)):
            event = merging(state, account, into, by.reason, now)
            key_refs = [*state.access.keys_of(account)]
            return _preview(state, event, key_refs, now)

    async def preview_split(
        self, account: int, terms: ports.SplitTerms, by: ports.Actor
    ) -> ports.MovePreview:
        state, now = self._service.state, self._service.now_us()
        async with self._answer(pending.account(account)):
            event = splitting(state, account, terms, by.reason)
            return _preview(state, event, event.key_refs, now)


def merging(state: State, account: int, into: int, reason: str, now: int) -> AccountMerged:
    """Returns the event that merges an account into another one at log time `now`.

    Raises `UnknownAccountError`, `InvalidMoveError`.
    """
    for each in account, into:
        check_account(state.access, each)
    _check(state, reason)
    if account == into:
        raise ports.InvalidMoveError("an account cannot be merged into itself")
    moved = Moved(**{name: getattr(state.totals(account, now), name) for name in Moved().amounts()})
    event = AccountMerged(account, into, moved, tuple(moving.twins(state, account, into)))
    theirs = state.totals(into, now)
    for name, amount in moved.amounts().items():
        if amount + getattr(theirs, name) > MOST:
            raise ports.InvalidMoveError(f"{name}: the sum would be above {MOST}")
    return event


def splitting(state: State, account: int, terms: ports.SplitTerms, reason: str) -> AccountSplit:
    """Returns the event that gives keys of an account to a new one, or to one that was merged.

    Raises `UnknownAccountError`, `InvalidMoveError`.
    """
    access = state.access
    check_account(access, account)
    _check(state, reason)
    key_refs = tuple(sorted(set(terms.key_refs)))
    _check_keys(access, account, key_refs)
    to = _number(access, key_refs, terms.owner)
    moved = Moved(
        terms.uploaded,
        terms.downloaded,
        terms.uploaded if terms.credited_uploaded is None else terms.credited_uploaded,
        terms.downloaded if terms.credited_downloaded is None else terms.credited_downloaded,
    )
    try:
        state.accounts.check_move(account, to, moved)
    except ValueError as error:
        raise ports.InvalidMoveError(str(error)) from None
    return AccountSplit(account, to, moved, terms.owner, key_refs)


def _check(state: State, reason: str) -> None:
    if not reason:
        raise ports.InvalidMoveError("this needs a reason")
    if not state.settings.private:
        raise ports.InvalidMoveError("there are accounts in private modes only")


def _check_keys(access: Access, account: int, key_refs: Sequence[int]) -> None:
    """Raises `InvalidMoveError` unless these keys can leave the account."""
    own = [*access.keys_of(account)]
    in_force = {each for each in own if _in_force(access, each)}
    if not key_refs:
        raise ports.InvalidMoveError("keys: expected the number of at least one key")
    if len(key_refs) > MOST_KEYS:
        raise ports.InvalidMoveError(f"keys: at most {MOST_KEYS} at once")
    if others := [each for each in key_refs if each not in own]:
        raise ports.InvalidMoveError(f"key {others[0]} is no key of account {account}")
    if account in key_refs:
        raise ports.InvalidMoveError(
            f"key {account} gives account {account} its number, so it stays: rotate it, and move "
            "the key that takes its place, or move the other keys"
        )
    if not in_force & set(key_refs):
        raise ports.InvalidMoveError("all of these keys are revoked")
    if in_force <= set(key_refs):
        raise ports.InvalidMoveError(
            f"these are all keys of account {account} in force, so nothing would be split off"
        )


def _in_force(access: Access, key_ref: int) -> bool:
    key = access.keys.get(access.hash_of(key_ref) or b"")
    return key is not None and key.key_ref == key_ref


def _number(access: Access, key_refs: Sequence[int], owner: str) -> int:
    """Returns the number of the account that gets the keys. Raises `InvalidMoveError`."""
    there = access.owners.get(owner)
    if there is not None:
        if there not in access.merged:
            raise ports.InvalidMoveError(f"the owner {owner} has account {there} already")
        if there not in key_refs:
            raise ports.InvalidMoveError(
                f"account {there} of {owner} was merged: it opens again if its first key, number "
                f"{there}, is among those that move"
            )
        return there
    free = [each for each in key_refs if each not in access.merged]
    nobodys = [each for each in key_refs if each in access.merged and not access.merged[each].owner]
    if not (free or nobodys):
        once = access.merged[key_refs[0]].owner
        raise ports.InvalidMoveError(
            f"key {key_refs[0]} gave the account of {once} its number, so that account opens again "
            f"with it: name the owner {once}"
        )
    return (nobodys or free)[0]


def _preview(
    state: State, event: KeysMoved, key_refs: Sequence[int], now: int
) -> ports.MovePreview:
    model, which = Projection(state, {}), set(key_refs)
    before = [_side(model, state, each, now) for each in (event.account, event.to)]
    after = []
    for side, sign in zip(before, (-1, 1), strict=True):
        totals, change = side.account, event.moved.signed(sign).amounts()
        summed = {name: getattr(totals, name) + change[name] for name in change}
        after.append(evolve(totals, **summed))
    if isinstance(event, AccountSplit):
        after[1] = evolve(after[1], owner=event.owner)
    peers = [each for each in state.swarms.peers_of(event.account)
             if state.swarms.peer(each).key_ref in which]  # fmt: skip
    keys = sum(_in_force(state.access, each) for each in key_refs)
    dropped = len(event.dropped) if isinstance(event, AccountMerged) else 0
    return ports.MovePreview(before, after, keys, len(peers), dropped)


def _side(model: Projection, state: State, account: int, now: int) -> ports.AccountSide:
    access, swarms = state.access, state.swarms
    found = model.account(account) or ports.Account(account, 0, 0, 0, 0, 0, 0, 0, None, None)
    totals = state.totals(account, now)
    found = evolve(found, seeding_us=totals.seeding_us, partial_us=totals.partial_us)
    exists = access.has_account(account)
    keys = sum(_in_force(access, each) for each in access.keys_of(account)) if exists else 0
    peers = swarms.peers_of(account)
    torrents = {swarms.peer(each).torrent for each in peers}
    tokens = [
        one for one in state.freeleech.tokens.values()
        if one.account == account and one.state(now) in (UNUSED, IN_USE)
    ]  # fmt: skip
    own = state.limits.accounts.get(account)
    limits = None if own is None else ports.OwnLimits(own.slots, own.locations)
    sanctions = [
        name for flag, name in KINDS.items() if (account, flag) in state.sanctions.accounts
    ]
    return ports.AccountSide(found, keys, len(peers), len(torrents), len(tokens), limits, sanctions)
