"""The values about merges and splits of accounts that the ports take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.ports.limits import OwnLimits
    from tracker.ports.values import Account


@frozen
class SplitTerms:
    """Which keys of an account go to a new one, and how much of its totals. Amounts are bytes."""

    key_refs: Sequence[int]
    owner: str  # of the new account
    uploaded: int = 0  # raw
    downloaded: int = 0
    credited_uploaded: int | None = None  # None = as many as raw ones
    credited_downloaded: int | None = None


@frozen
class AccountSide:
    """What one account of a merge or a split has."""

    account: Account
    keys: int  # in force
    peers: int
    torrents: int  # with a peer of it
    freeleech_tokens: int  # that are not over
    limits: OwnLimits | None  # of its own
    sanctions: Sequence[str]  # of `ACCOUNT_SANCTIONS`


@frozen
class MovePreview:
    """What a merge or a split would do."""

    before: Sequence[AccountSide]  # of the account that loses keys, and of the other one
    after: Sequence[Account]  # totals of the same two
    keys: int  # in force, that move
    peers: int  # that move
    dropped: int  # peers and remembered clients that end, because both accounts have them


@frozen
class MoveDone:
    """A merge or a split that was made."""

    seq: int  # of the event
    account: int  # that has the keys now
