"""Holds the whitelist, the tracker keys and their accounts.

The state knows a key by its SHA-256 and by its number, the `key_ref`, but never holds its text. An
account belongs to an owner (an id that the site gives) or, without an owner, to a single key. The
account's number is the `key_ref` of its first key, so that a rotated or re-issued key keeps the
account.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from hashlib import blake2b
from typing import TYPE_CHECKING

from attrs import evolve, frozen

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


class Access:
    """Whitelist, keys and requests by idempotency key. Only applying events changes them."""

    __slots__ = (
        "_listed",
        "account_of",
        "hashes",
        "keys",
        "last_used",
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

    def account_for(self, owner: str | None) -> int:
        """Returns the account for the next key that is issued, if it is for this owner."""
        if owner is None:
            return self.next_key_ref
        return self.owners.get(owner, self.next_key_ref)

    def has_account(self, account: int) -> bool:
        """Tells whether the account exists: its first key has the account's number."""
        return 0 < account < len(self.account_of) and self.account_of[account] == account

    def owner_of(self, account: int) -> str | None:
        """Returns the owner of an account; None = it has none, or there is no such account."""
        at = account
        while 0 < at < len(self.account_of):
            key_hash = self.hash_of(at) or b""
            key = self.keys.get(key_hash) or self.revoked.get(key_hash)
            if key is not None and key.account == account:
                return key.owner  # all keys of an account have the same
            # Its first key was revoked, and issued again for somebody else.
            try:
                at = self.account_of.index(account, at + 1)
            except ValueError:
                break
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
        at = account
        while at < len(self.account_of):
            try:
                at = self.account_of.index(account, at) + 1
            except ValueError:
                return
            key = self.keys.get(self.hash_of(at - 1) or b"")
            if key is not None and (key.key_ref, key.owner) == (at - 1, owner):
                yield at - 1

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
        return hasher.digest()
