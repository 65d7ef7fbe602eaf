"""Holds the whitelist, the tracker keys and their accounts.

The state knows a key by its SHA-256 and by its number, the `key_ref`, but never holds its text. An
account belongs to an owner (an id that the site gives) or, without an owner, to a single key. The
account's number is the `key_ref` of its first key, so that a rotated or re-issued key keeps the
account. Staff may merge an account into another one, and split keys off it (docs/credit.md).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import astuple, evolve, frozen

from tracker.domain.names import Names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIRST_KEY_REF = 1
HASH_SIZE = 32


@frozen
class Key:
    """A tracker key, without its text."""

    key_ref: int
    valid_until_us: int | None  # Unix microseconds; None = permanent
    account: int
    owner: str | None = None
    label: str | None = None


@frozen
class Request:
    """An earlier request, kept under its idempotency key."""

    fingerprint: str  # 32 hex digits over the request's members
    key_ref: int  # of the (last) key that the request made; 0 = it made none
    seq: int = 0  # of the request's event, if it made no key


@frozen
class Merge:
    """Where the keys of an account went when it was merged."""

    into: int  # the account that has them now
    seq: int  # of the event
    since_us: int  # date of the event
    owner: str | None  # whom the account belonged to


class Access:
    """Whitelist, keys and requests by idempotency key. Only applying events changes them."""

    __slots__ = (
        "_listed",
        "account_of",
        "gained",
        "hashes",
        "keys",
        "last_used",
        "merged",
        "next_key_ref",
        "owners",
        "requests",
        "revoked",
        "whitelist",
    )

    def __init__(self) -> None:
        self.whitelist = Names()
        # The same torrents by first byte and sorted, so that a page needs no sort of all torrents.
        self._listed: list[list[bytes]] = [[] for _ in range(256)]
        self.keys: dict[bytes, Key] = {}  # in force or expired, by SHA-256
        self.revoked: dict[bytes, Key] = {}  # by SHA-256
        self.owners: dict[str, int] = {}  # account numbers
        self.account_of = array("I", [0])  # by key_ref, also of revoked keys
        self.hashes = bytearray(HASH_SIZE)  # by key_ref: the SHA-256 of the key that got the number
        self.last_used = array("Q", [0])  # by key_ref: log time of its last announce; 0 = never
        self.requests: dict[tuple[str, str], Request] = {}  # by token label and idempotency key
        self.next_key_ref = FIRST_KEY_REF
        self.merged: dict[int, Merge] = {}  # by account
        self.gained: set[int] = set()  # accounts that got keys with lower numbers than their own

    def account_for(self, owner: str | None) -> int:
        """Returns the account for the next key that is issued, if it is for this owner."""
        if owner is None:
            return self.next_key_ref
        return self.owners.get(owner, self.next_key_ref)

    def has_account(self, account: int) -> bool:
        """Tells whether the account exists and is not merged: it has the key with its number."""
        return 0 < account < len(self.account_of) and self.account_of[account] == account

    def known(self, account: int) -> bool:
        """Tells whether the account exists, or did before it was merged."""
        return self.has_account(account) or account in self.merged

    def keys_of(self, account: int) -> Iterator[int]:
        """Yields the numbers of the account's keys, also of revoked ones, ascending."""
        at = self.first_of(account)
        while True:
            try:
                at = self.account_of.index(account, at) + 1
            except ValueError:
                return
            yield at - 1

    def first_of(self, account: int) -> int:
        """Returns a number that no key of the account is below."""
        return FIRST_KEY_REF if account in self.gained else account

    def owner_of(self, account: int) -> str | None:
        """Returns the owner of an account; None = it has none, or there is no such account."""
        if account in self.merged:
            return self.merged[account].owner
        # Its first key may be revoked, and issued again for somebody else.
        for key_ref in chain((account,), self.keys_of(account)):
            key_hash = self.hash_of(key_ref) or b""
            key = self.keys.get(key_hash) or self.revoked.get(key_hash)
            if key is not None and key.account == account:
                return key.owner  # all keys of an account have the same
        return None

    def issue(self, key_hash: bytes, key: Key) -> None:
        """Enters a key. A revoked key with this hash is in force again, under its new number."""
        self.keys[key_hash] = key
        self.revoked.pop(key_hash, None)
        if key.owner is not None:
            self.owners.setdefault(key.owner, key.account)
        self.next_key_ref = max(self.next_key_ref, key.key_ref + 1)
        while len(self.account_of) <= key.key_ref:
            self.account_of.append(0)
            self.hashes += bytes(HASH_SIZE)
            self.last_used.append(0)
        self.account_of[key.key_ref] = key.account
        self.hashes[key.key_ref * HASH_SIZE : (key.key_ref + 1) * HASH_SIZE] = key_hash

    def revoke(self, key_hash: bytes) -> Key:
        """Takes a key out of force. Raises `KeyError` if it is not in force."""
        key = self.revoked[key_hash] = self.keys.pop(key_hash)
        return key

    def label(self, key_hash: bytes, label: str | None) -> None:
        """Gives a key another label. Raises `KeyError` if the key is not in force."""
        self.keys[key_hash] = evolve(self.keys[key_hash], label=label)

    def hash_of(self, key_ref: int) -> bytes | None:
        """Returns the SHA-256 of the key with this number; None = no key has it."""
        if not FIRST_KEY_REF <= key_ref < self.next_key_ref:
            return None
        return bytes(self.hashes[key_ref * HASH_SIZE : (key_ref + 1) * HASH_SIZE])

    def in_force(self, account: int, owner: str) -> Iterator[int]:
        """Yields the numbers of an owner's keys that are not revoked, ascending."""
        for key_ref in self.keys_of(account):
            key = self.keys.get(self.hash_of(key_ref) or b"")
            if key is not None and (key.key_ref, key.owner) == (key_ref, owner):
                yield key_ref

    def merge(self, account: int, into: int, seq: int, date_us: int) -> None:
        """Gives all keys of an account to another one. `seq`, `date_us`: of the event."""
        owner = self.owner_of(account)
        self._give([*self.keys_of(account)], into, self.owner_of(into))
        self.merged[account] = Merge(into, seq, date_us, owner)

    def split(self, key_refs: Sequence[int], to: int, owner: str) -> None:
        """Gives some keys of an account to a new one, or to one that was merged before."""
        self.merged.pop(to, None)
        self._give(key_refs, to, owner)
        self.owners.setdefault(owner, to)

    def _give(self, key_refs: Sequence[int], account: int, owner: str | None) -> None:
        for key_ref in key_refs:
            self.account_of[key_ref] = account
            if key_ref < account:
                self.gained.add(account)
            key_hash = self.hash_of(key_ref) or b""
            for keys in (self.keys, self.revoked):
                key = keys.get(key_hash)
                if key is not None and key.key_ref == key_ref:  # else it was issued again
                    keys[key_hash] = evolve(key, account=account, owner=owner)

    def numbers(self, hashes: Sequence[bytes], last: int) -> list[int]:
        """Returns the numbers of keys that were issued in this order; `last` is the last number.

        Other keys may have been issued between these.
        """
        found, end = [], (last + 1) * HASH_SIZE
        for key_hash in reversed(hashes):
            end = self.hashes.rindex(key_hash, 0, end)
            found.append(end // HASH_SIZE)
        return found[::-1]

    def add_to_whitelist(self, info_hash: bytes) -> None:
        if info_hash not in self.whitelist:
            self.whitelist.add(info_hash)
            insort(self._listed[info_hash[0]], info_hash)

    def take_off_whitelist(self, info_hash: bytes) -> None:
        if info_hash in self.whitelist:
            self.whitelist.remove(info_hash)
            bucket = self._listed[info_hash[0]]
            del bucket[bisect_left(bucket, info_hash)]

    def listed_after(self, info_hash: bytes) -> Iterator[bytes]:
        """Yields the whitelisted torrents after this one (b"" = all), ascending.

        The whitelist may change between two items.
        """
        for number in range(info_hash[0] if info_hash else 0, 256):
            bucket = self._listed[number]
            at = bisect_right(bucket, info_hash)
            while at < len(bucket):
                info_hash = bucket[at]
                yield info_hash
                at = bisect_right(bucket, info_hash)

    def digest(self) -> bytes:
        hasher = blake2b(digest_size=16)
        for info_hash in self.listed_after(b""):
            hasher.update(info_hash)
        for keys in (self.keys, self.revoked):
            for key_hash in sorted(keys):
                hasher.update(key_hash + repr(keys[key_hash]).encode())
            hasher.update(b"|")
        hasher.update(repr((self.next_key_ref, sorted(self.owners.items()))).encode())
        hasher.update(repr(sorted(self.requests.items(), key=lambda each: each[0])).encode())
        hasher.update(self.hashes)
        hasher.update(self.last_used.tobytes())
        if merges := self.merges():  # so that the digests of older logs stay
            hasher.update(repr((merges, self.account_of.tobytes())).encode())
        return hasher.digest()

    def merges(self) -> list[list[Any]]:
        """Returns what `set_merges` takes, for JSON; [] = no account was ever merged or split."""
        rows = [[account, *astuple(one)] for account, one in sorted(self.merged.items())]
        return [sorted(self.gained), rows] if self.gained or rows else []

    def set_merges(self, data: list[list[Any]]) -> None:
        """Undoes `merges`. Raises `ValueError` or `TypeError` for other data."""
        gained, rows = data or ([], [])
        self.gained = set(gained)
        self.merged = {account: Merge(*one) for account, *one in rows}
        numbers = [*gained, *self.merged]
        for one in self.merged.values():
            numbers += [one.into, one.seq, one.since_us]
            if type(one.owner) not in (str, type(None)):
                raise TypeError("the owner of a merged account is no text")
        if any(type(each) is not int or not 0 <= each < 1 << 63 for each in numbers):
            raise ValueError("something else stands in the place of a number")
