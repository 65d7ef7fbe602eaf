"""The port that writes: administrators' changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker.ports.values import (
        Actor,
        Correction,
        Factor,
        FactorTerms,
        IssuedKey,
        NewKey,
    )


class Commands(Protocol):
    """Admin writes. Each returns after its event is on stable storage, or raises `CommandError`.

    A command that changes nothing (a torrent whitelisted twice) appends nothing; it too returns only when
    the event that it agrees with is on stable storage.
    """

    async def whitelist_add(self, info_hashes: Iterable[bytes], by: Actor) -> list[bytes]:
        """The torrents that were not on the whitelist before."""
        ...

    async def whitelist_remove(self, info_hash: bytes, by: Actor) -> bool:
        """Whether it was on the whitelist."""
        ...

    async def issue_key(self, new: NewKey, by: Actor) -> IssuedKey:
        """With an idempotency key, a repetition gets the key of the first time.

        Raises `DuplicateKeyError`, `InvalidDurationError`, `RepeatedRequestError`, `RevokedKeyError`.
        """
        ...

    async def import_keys(self, new: Sequence[NewKey], by: Actor) -> list[int]:
        """All of the keys, each of which is given, or none; returns their `key_ref`s. With an idempotency key, a repetition
        gets the same ones, and takes what a crash had left out.

        Raises `DuplicateKeyError`, `InvalidDurationError` (the text names the first one at fault), `RepeatedRequestError`.
        """
        ...

    async def label_key(self, key_ref: int, label: str | None, by: Actor) -> None:
        """Raises `UnknownKeyError`, `RevokedKeyError`."""
        ...

    async def rotate_key(self, key_ref: int, by: Actor) -> IssuedKey:
        """Revoke a key and issue a random one in its place: same account, owner, label and validity.

        Raises `UnknownKeyError`, `RevokedKeyError`, `RepeatedRequestError`.
        """
        ...

    async def revoke_key(self, key: str, by: Actor) -> None:
        """Raises `UnknownKeyError`."""
        ...

    async def revoke_key_ref(self, key_ref: int, by: Actor) -> None:
        """Raises `UnknownKeyError`, `RevokedKeyError`."""
        ...

    async def set_factor(self, terms: FactorTerms, by: Actor) -> Factor:
        """Put a credit factor in force, now or later. One that says the same and is not over is given back.

        Raises `InvalidFactorError`.
        """
        ...

    async def end_factor(self, number: int, by: Actor) -> None:
        """End a factor before its time; one that is over is left alone. Raises `UnknownFactorError`."""
        ...

    async def correct(self, asked: Correction, by: Actor) -> int:
        """Returns the seq of the event. `by.reason` must not be empty; with the same `by.idempotency_key` the
        same correction is made once.

        Raises `UnknownAccountError`, `InvalidCorrectionError`, `RepeatedRequestError`.
        """
        ...
