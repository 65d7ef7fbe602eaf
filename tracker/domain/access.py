"""Whitelist and tracker keys. A key itself is never here: its SHA-256 and its number, the `key_ref`."""

from __future__ import annotations

from hashlib import blake2b

from attrs import define, frozen

FIRST_KEY_REF = 1


@frozen
class Key:
    key_ref: int
    valid_until_us: int | None  # Unix microseconds; None = permanent


@define
class Access:
    """Owner: the projection. Changed by applying events only."""

    whitelist: set[bytes]
    keys: dict[bytes, Key]  # by SHA-256 of the key
    next_key_ref: int

    @classmethod
    def empty(cls) -> Access:
        return cls(set(), {}, FIRST_KEY_REF)

    def issue(self, key_hash: bytes, key: Key) -> None:
        self.keys[key_hash] = key
        self.next_key_ref = max(self.next_key_ref, key.key_ref + 1)

    def digest(self) -> bytes:
        hasher = blake2b(digest_size=16)
        for info_hash in sorted(self.whitelist):
            hasher.update(info_hash)
        for key_hash in sorted(self.keys):
            hasher.update(key_hash + repr(self.keys[key_hash]).encode())
        hasher.update(repr(self.next_key_ref).encode())
        return hasher.digest()
