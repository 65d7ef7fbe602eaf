"""Issues, imports, labels, rotates and revokes tracker keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict

from tracker import ports
from tracker.domain.events.admin import (
    KeyChanged,
    KeyIssued,
    KeyRevoked,
    KeyRotated,
    OwnerKeysRevoked,
)
from tracker.service.commands import pending
from tracker.service.commands.checks import check_account
from tracker.service.commands.crediting import END_US
from tracker.service.commands.writing import (
    ANOTHER_REQUEST,
    Writing,
    fingerprint_of,
    given,
    request_of,
)
from tracker.store import server_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracker.domain.access import Key
    from tracker.domain.events.registry import Subject


_KEYS_AT_ONCE = 5000  # in one event, which is of 60 KB then


class KeyCommands(Writing):
    async def issue_key(self, new: ports.NewKey, by: ports.Actor) -> ports.IssuedKey:
        fingerprint = fingerprint_of("issue", asdict(new))
        async with self._answer(*_given_keys([new]), *self._of_request(by)):
            issued = self._repeated(fingerprint, new.key, by)
            if issued is None:
                issued = self._issue(new, self._end_of(new), fingerprint, by)
        return issued

    async def import_keys(self, new: Sequence[ports.NewKey], by: ports.Actor) -> list[int]:
        """Decides for all keys, then appends all events without an await in between.

        The events may fill several frames, and a crash can lose the last of these. A repeated
        request then issues the keys that are missing.
        """
        access = self._service.state.access
        fingerprint = fingerprint_of("import", {"keys": [given(asdict(one)) for one in new]})
        hashes = [server_secret.key_hash(one.key) for one in new if one.key]
        async with self._answer(*_given_keys(new), *self._of_request(by)):
            before = self._earlier(fingerprint, by)
            last = before.key_ref if before is not None else 0
            done = hashes.index(access.hash_of(last) or b"") + 1 if last else 0
            for one, until_us in self._decided(new, done):
                last = self._issue(one, until_us, fingerprint, by).key_ref
            return access.numbers(hashes, last)

    async def label_key(self, key_ref: int, label: str | None, by: ports.Actor) -> None:
        async with self._answer(pending.key_ref(key_ref)):
            key_hash, key = self._in_force(key_ref)
            if key.label != label:
                self._need_room()
                self._append(KeyChanged(key_hash, key_ref, label), by)

    async def rotate_key(self, key_ref: int, by: ports.Actor) -> ports.IssuedKey:
        fingerprint = fingerprint_of("rotate", {"key_ref": key_ref})
        async with self._answer(pending.key_ref(key_ref), *self._of_request(by)):
            issued = self._repeated(fingerprint, None, by)
            if issued is None:
                issued = self._rotate(key_ref, fingerprint, by)
        return issued

    async def revoke_key(self, key: str, by: ports.Actor) -> None:
        key_hash = server_secret.key_hash(key)
        async with self._answer(pending.key(key_hash)):
            known = self._service.state.access.keys.get(key_hash)
            if known is None:
                raise ports.UnknownKeyError
            self._revoke(key_hash, known, by)

    async def revoke_key_ref(self, key_ref: int, by: ports.Actor) -> None:
        async with self._answer(pending.key_ref(key_ref)):
            self._revoke(*self._in_force(key_ref), by)

    async def revoke_owner(self, owner: str, by: ports.Actor) -> int:
        """Appends one event, or several without an await in between where there are thousands of
        keys.
        """
        access = self._service.state.access
        account = access.owners.get(owner)
        async with self._answer(pending.account(account or 0)):
            if account is None:
                raise ports.UnknownAccountError(f"no account has the owner {owner}")
            check_account(access, account)
            key_refs = [*access.in_force(account, owner)]
            self._need_room()
            for at in range(0, len(key_refs), _KEYS_AT_ONCE):
                some = tuple(key_refs[at : at + _KEYS_AT_ONCE])
                self._append(OwnerKeysRevoked(owner, account, some), by)
            return len(key_refs)

    # Deciding: before anything is appended.

    def _in_force(self, key_ref: int) -> tuple[bytes, Key]:
        """Returns the hash and the key of this number. The key may have expired.

        Raises `UnknownKeyError`, `RevokedKeyError`.
        """
        access = self._service.state.access
        key_hash = access.hash_of(key_ref)
        if key_hash is None:
            raise ports.UnknownKeyError
        key = access.keys.get(key_hash)
        # A key that was issued again has another number now. Its earlier number stays revoked.
        if key is None or key.key_ref != key_ref:
            raise ports.RevokedKeyError
        return key_hash, key

    def _end_of(self, new: ports.NewKey) -> int | None:
        """Returns the end of a new key's validity, or raises the error that forbids the key."""
        access = self._service.state.access
        if new.key is not None and server_secret.key_hash(new.key) in access.keys:
            raise ports.DuplicateKeyError
        merge = access.merged.get(access.owners.get(new.owner or "", 0))
        if merge is not None:
            raise ports.InvalidMoveError(
                f"the account of {new.owner} was merged into account {merge.into}, so it gets no "
                "new keys: name the owner of that one"
            )
        until_us = new.valid_until_us
        if new.seconds_valid is not None:
            until_us = self._service.date_us() + new.seconds_valid * 1_000_000
        if until_us is not None and until_us >= END_US:
            raise ports.InvalidDurationError
        self._need_room()
        return until_us

    def _decided(
        self, new: Sequence[ports.NewKey], first: int
    ) -> list[tuple[ports.NewKey, int | None]]:
        """Returns the keys from `first` on, each with the end of its validity.

        Raises the error of the first key at fault. The text names the key's number in the list.
        """
        decided, seen = [], set()
        for number, one in enumerate(new[first:], first):
            try:
                decided.append((one, self._end_of(one)))
            except ports.DuplicateKeyError:
                raise ports.DuplicateKeyError(f"keys[{number}]: exists already") from None
            except ports.InvalidDurationError:
                text = f"keys[{number}]: its validity would end after the year 9999"
                raise ports.InvalidDurationError(text) from None
            if one.key is not None and one.key in seen:
                raise ports.DuplicateKeyError(f"keys[{number}]: comes twice")
            seen.add(one.key)
        return decided

    def _repeated(
        self, fingerprint: str, text: str | None, by: ports.Actor
    ) -> ports.IssuedKey | None:
        """Returns the key that the same request got before; None = the request is new.

        `text`: the key that the request itself gives, or None. Raises `RepeatedRequestError`,
        `RevokedKeyError`.
        """
        request = self._earlier(fingerprint, by)
        if request is None:
            return None
        text = text or self._key_for(by)
        # The hash differs if the server's secret has changed since the first request.
        if self._service.state.access.hash_of(request.key_ref) != server_secret.key_hash(text):
            raise ports.RepeatedRequestError(ANOTHER_REQUEST)
        try:
            _, key = self._in_force(request.key_ref)
        except ports.RevokedKeyError:
            raise ports.RevokedKeyError("the key of this idempotency key is revoked") from None
        return ports.IssuedKey(text, key.valid_until_us, key.key_ref)

    # Appending.

    def _issue(
        self, new: ports.NewKey, until_us: int | None, fingerprint: str, by: ports.Actor
    ) -> ports.IssuedKey:
        access = self._service.state.access
        text = new.key or self._random_key(by)
        key_hash = server_secret.key_hash(text)
        # A key that is issued again keeps its account, unless it gets another owner.
        before = access.revoked.get(key_hash)
        owner = new.owner
        if before is not None and owner in (None, before.owner):
            owner, account = before.owner, before.account
        else:
            account = access.account_for(owner)
        key_ref, request = access.next_key_ref, request_of(fingerprint, by)
        event = KeyIssued(key_hash, key_ref, account, until_us, owner, new.label, request)
        self._append(event, by)
        return ports.IssuedKey(text, until_us, key_ref)

    def _rotate(self, key_ref: int, fingerprint: str, by: ports.Actor) -> ports.IssuedKey:
        old_hash, old = self._in_force(key_ref)
        self._need_room()
        text = self._random_key(by)
        event = KeyRotated(
            server_secret.key_hash(text),
            self._service.state.access.next_key_ref,
            old.account,
            old.valid_until_us,
            old.owner,
            old.label,
            request_of(fingerprint, by),
            old_key_hash=old_hash,
            old_key_ref=key_ref,
        )
        self._append(event, by)
        return ports.IssuedKey(text, old.valid_until_us, event.key_ref)

    def _revoke(self, key_hash: bytes, key: Key, by: ports.Actor) -> None:
        self._need_room()
        self._append(KeyRevoked(key_hash, key.key_ref), by)

    def _random_key(self, by: ports.Actor) -> str:
        if by.idempotency_key:
            return self._key_for(by)
        # The number makes the key differ even if a client sends one request id twice.
        number = self._service.state.access.next_key_ref
        return server_secret.tracker_key(self._secret, f"{number} {by.request_id}")

    def _key_for(self, by: ports.Actor) -> str:
        """Derives the key that belongs to an idempotency key.

        It is the same after any restart, and so is stored nowhere.
        """
        return server_secret.tracker_key(self._secret, f"once {by.token}\n{by.idempotency_key}")


def _given_keys(new: Iterable[ports.NewKey]) -> list[Subject]:
    """Returns the keys whose text the request gives."""
    return [pending.key(server_secret.key_hash(one.key)) for one in new if one.key is not None]
