"""Whitelist, tracker keys and whose they are. A key itself is never here: its SHA-256 and its number, the `key_ref`.

An account is a key's owner (an id the site gives) or, without one, the key itself. It is known by a number, the
`key_ref` of its first key, so that rotating or re-issuing a key keeps it.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

from attrs import frozen

FIRST_KEY_REF = 1


@frozen
class Key:
    key_ref: int
    valid_until_us: int | None  # Unix microseconds; None = permanent
    account: int
    owner: str | None = None
    label: str | None = None


class Access:
    """Owner: the projection. Changed by applying events only."""

    __slots__ = ("account_of", "keys", "next_key_ref", "owners", "revoked", "whitelist")

    def __init__(self) -> None:
        self.whitelist: set[bytes] = set()
        self.keys: dict[bytes, Key] = {}  # by SHA-256 of the key; those in force or expired
        self.revoked: dict[bytes, Key] = {}  # likewise; never in force again
        self.owners: dict[str, int] = {}  # account numbers
        self.account_of = array("I", [0])  # by key_ref, also of revoked keys
        self.next_key_ref = FIRST_KEY_REF

    def account_for(self, owner: str | None) -> int:
        """The account that a key issued next would belong to."""
        if owner is None:
            return self.next_key_ref
        return self.owners.get(owner, self.next_key_ref)

    def has_account(self, account: int) -> bool:
        """Whether a key was ever issued to it: an account goes by the number of its first key."""
        return 0 < account < len(self.account_of) and self.account_of[account] == account

    def issue(self, key_hash: bytes, key: Key) -> None:
        self.keys[key_hash] = key
        self.revoked.pop(key_hash, None)
        if key.owner is not None:
            self.owners.setdefault(key.owner, key.account)
        self.next_key_ref = max(self.next_key_ref, key.key_ref + 1)
        while len(self.account_of) <= key.key_ref:
            self.account_of.append(0)
        self.account_of[key.key_ref] = key.account

    def revoke(self, key_hash: bytes) -> Key:
        """Raises `KeyError` for a key that is not in force."""
        key = self.revoked[key_hash] = self.keys.pop(key_hash)
        return key

    def digest(self) -> bytes:
        hasher = blake2b(digest_size=16)
        for info_hash in sorted(self.whitelist):
            hasher.update(info_hash)
        for keys in (self.keys, self.revoked):
            for key_hash in sorted(keys):
                hasher.update(key_hash + repr(keys[key_hash]).encode())
            hasher.update(b"|")
        hasher.update(repr((self.next_key_ref, sorted(self.owners.items()))).encode())
        return hasher.digest()
