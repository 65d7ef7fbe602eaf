"""Admin writes: decide against the state, append, and answer once the event is on stable storage."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import trio
from attrs import asdict

from eventlog import LogFailedError
from tracker import ports
from tracker.domain import events
from tracker.service import crediting, durable
from tracker.service.read_model import factor_seen
from tracker.store import server_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from tracker.domain.access import Key, Request
    from tracker.service.announce import Log
    from tracker.service.durable import Subject
    from tracker.service.service import Service

_BATCH = 100
"""Events between two checkpoints: a few milliseconds."""
_ANOTHER = "the idempotency key came before with another request"


class ServiceCommands:
    """`ports.Commands` over the service. `wait_durable` is outside the write path: that one has no await."""

    def __init__(self, service: Service, log: Log, secret: bytes) -> None:
        self._service = service
        self._log = log
        self._secret = secret
        self._last_seq = -1  # of the latest admin event of this run
        self._pending = durable.Pending()

    async def whitelist_add(self, info_hashes: Iterable[bytes], by: ports.Actor) -> list[bytes]:
        whitelist = self._service.state.access.whitelist
        asked, added = list(info_hashes), []
        for number, info_hash in enumerate(asked, 1):
            if info_hash not in whitelist:
                self._need_room()
                self._append(events.TORRENT_WHITELISTED, {"info_hash": info_hash.hex()}, by)
                added.append(info_hash)
            if number % _BATCH == 0:
                await trio.lowlevel.checkpoint()  # announces go on
        await self._durable(self._pending.latest(map(durable.torrent, asked)))
        return added

    async def whitelist_remove(self, info_hash: bytes, by: ports.Actor) -> bool:
        listed = info_hash in self._service.state.access.whitelist
        if listed:
            self._need_room()
            self._append(events.TORRENT_DELISTED, {"info_hash": info_hash.hex()}, by)
        await self._durable(self._pending.latest([durable.torrent(info_hash)]))
        return listed

    async def issue_key(self, new: ports.NewKey, by: ports.Actor) -> ports.IssuedKey:
        fingerprint = _fingerprint("issue", asdict(new))
        async with self._answer(*_of_keys([new]), *self._of_request(by)):
            issued = self._repeated(fingerprint, new.key, by)
            if issued is None:
                issued = self._issue(*self._decided(new), fingerprint, by)
        return issued

    async def import_keys(self, new: Sequence[ports.NewKey], by: ports.Actor) -> list[int]:
        """Decide for all, then append all with no await in between. They may be several frames, of which a crash can leave
        the first ones: then a repetition brings the rest."""
        access = self._service.state.access
        fingerprint = _fingerprint("import", {"keys": [_said(asdict(one)) for one in new]})
        hashes = [server_secret.key_hash(one.key) for one in new if one.key]
        async with self._answer(*_of_keys(new), *self._of_request(by)):
            before = self._earlier(fingerprint, by)
            last = before.key_ref if before is not None else 0
            done = hashes.index(access.hash_of(last) or b"") + 1 if last else 0
            for decided in self._all_decided(new, done):
                last = self._issue(*decided, fingerprint, by).key_ref
            return access.numbers(hashes, last)

    async def label_key(self, key_ref: int, label: str | None, by: ports.Actor) -> None:
        async with self._answer(durable.key_ref(key_ref)):
            key_hash, key = self._in_force(key_ref)
            if key.label != label:
                self._need_room()
                data = {"key_hash": key_hash.hex(), "key_ref": key_ref, "label": label}
                self._append(events.KEY_CHANGED, data, by)

    async def rotate_key(self, key_ref: int, by: ports.Actor) -> ports.IssuedKey:
        fingerprint = _fingerprint("rotate", {"key_ref": key_ref})
        async with self._answer(durable.key_ref(key_ref), *self._of_request(by)):
            issued = self._repeated(fingerprint, None, by)
            if issued is None:
                issued = self._rotate(key_ref, fingerprint, by)
        return issued

    def _rotate(self, key_ref: int, fingerprint: str, by: ports.Actor) -> ports.IssuedKey:
        old_hash, old = self._in_force(key_ref)
        self._need_room()
        key = self._random_key(by)
        data = {
            **self._key_data(key, old.valid_until_us, old.account, old.owner, old.label),
            **_request(fingerprint, by),
            "old_key_hash": old_hash.hex(),
            "old_key_ref": key_ref,
        }
        self._append(events.KEY_ROTATED, data, by)
        return ports.IssuedKey(key, old.valid_until_us, data["key_ref"])

    async def revoke_key(self, key: str, by: ports.Actor) -> None:
        key_hash = server_secret.key_hash(key)
        async with self._answer(durable.key(key_hash)):
            known = self._service.state.access.keys.get(key_hash)
            if known is None:
                raise ports.UnknownKeyError
            self._revoke(key_hash, known, by)

    async def revoke_key_ref(self, key_ref: int, by: ports.Actor) -> None:
        async with self._answer(durable.key_ref(key_ref)):
            self._revoke(*self._in_force(key_ref), by)

    def _revoke(self, key_hash: bytes, key: Key, by: ports.Actor) -> None:
        self._need_room()
        data = {"key_hash": key_hash.hex(), "key_ref": key.key_ref}
        self._append(events.KEY_REVOKED, data, by)

    def _in_force(self, key_ref: int) -> tuple[bytes, Key]:
        """The key of that number, expired perhaps. Raises `UnknownKeyError`, `RevokedKeyError`."""
        access = self._service.state.access
        key_hash = access.hash_of(key_ref)
        if key_hash is None:
            raise ports.UnknownKeyError
        key = access.keys.get(key_hash)
        # One that was issued again has another number now; this one stays revoked.
        if key is None or key.key_ref != key_ref:
            raise ports.RevokedKeyError
        return key_hash, key

    # Credit: decided in `crediting`.

    async def set_factor(self, terms: ports.FactorTerms, by: ports.Actor) -> ports.Factor:
        state, now = self._service.state, self._service.now_us()
        async with self._answer(durable.FACTORS):
            factor = crediting.same_factor(state, terms, now)
            if factor is None:
                data = crediting.new_factor(state, terms, now)
                self._need_room()
                self._append(events.CREDIT_FACTOR_SET, data, by)
                factor = state.factors.current[data["factor"]]
        return factor_seen(factor)

    async def end_factor(self, number: int, by: ports.Actor) -> None:
        async with self._answer(("factor", number)):
            data = crediting.factor_to_end(self._service.state, number, self._service.now_us())
            if data is not None:
                self._need_room()
                self._append(events.CREDIT_FACTOR_ENDED, data, by)

    async def correct(self, asked: ports.Correction, by: ports.Actor) -> int:
        state = self._service.state
        fingerprint = _fingerprint("correct", {**asdict(asked), "reason": by.reason})
        async with self._answer(("account", asked.account), *self._of_request(by)):
            before = self._earlier(fingerprint, by)
            if before is not None:
                return before.seq
            data = crediting.correction(state, asked, by.reason)
            self._need_room()
            return self._append(events.CREDIT_CORRECTED, {**data, **_request(fingerprint, by)}, by)

    # Issuing: decided here, before anything is appended.

    def _decided(self, new: ports.NewKey) -> tuple[str | None, int | None, ports.NewKey]:
        """The given key (None: a random one is to be made) and the end of its validity."""
        if (
            new.key is not None
            and server_secret.key_hash(new.key) in self._service.state.access.keys
        ):
            raise ports.DuplicateKeyError
        until_us = new.valid_until_us
        if new.seconds_valid is not None:
            until_us = self._service.now_us() + new.seconds_valid * 1_000_000
        if until_us is not None and until_us >= crediting.END_US:
            raise ports.InvalidDurationError
        self._need_room()
        return new.key, until_us, new

    def _all_decided(
        self, new: Sequence[ports.NewKey], first: int
    ) -> list[tuple[str | None, int | None, ports.NewKey]]:
        """All from `first` on. Raises what the first key at fault raises, with its number in the list."""
        decided, given = [], set()
        for number, one in enumerate(new[first:], first):
            try:
                decided.append(self._decided(one))
            except ports.DuplicateKeyError:
                raise ports.DuplicateKeyError(f"keys[{number}]: exists already") from None
            except ports.InvalidDurationError:
                text = f"keys[{number}]: its validity would end after the year 9999"
                raise ports.InvalidDurationError(text) from None
            if one.key is not None and one.key in given:
                raise ports.DuplicateKeyError(f"keys[{number}]: comes twice")
            given.add(one.key)
        return decided

    def _issue(
        self,
        given: str | None,
        until_us: int | None,
        new: ports.NewKey,
        fingerprint: str,
        by: ports.Actor,
    ) -> ports.IssuedKey:
        access = self._service.state.access
        key = given or self._random_key(by)
        # A key that is issued again goes on with its account, unless it gets another owner.
        before = access.revoked.get(server_secret.key_hash(key))
        owner = new.owner
        if before is not None and owner in (None, before.owner):
            owner, account = before.owner, before.account
        else:
            account = access.account_for(owner)
        data = {
            **self._key_data(key, until_us, account, owner, new.label),
            **_request(fingerprint, by),
        }
        self._append(events.KEY_ISSUED, data, by)
        return ports.IssuedKey(key, until_us, data["key_ref"])

    def _key_data(
        self, key: str, until_us: int | None, account: int, owner: str | None, label: str | None
    ) -> dict[str, Any]:
        data: dict[str, Any] = {
            "key_hash": server_secret.key_hash(key).hex(),
            "key_ref": self._service.state.access.next_key_ref,
            "account": account,
            "valid_until_us": until_us,
        }
        given = {"owner": owner, "label": label}
        return data | {name: value for name, value in given.items() if value is not None}

    def _random_key(self, by: ports.Actor) -> str:
        if by.idempotency_key:
            return self._key_for(by)
        # A number beside the request id: a client that sends the same id for two requests still
        # gets two keys.
        number = self._service.state.access.next_key_ref
        return server_secret.tracker_key(self._secret, f"{number} {by.request_id}")

    def _key_for(self, by: ports.Actor) -> str:
        """The key that belongs to an idempotency key: the same after any restart, and nowhere stored."""
        return server_secret.tracker_key(self._secret, f"once {by.token}\n{by.idempotency_key}")

    def _earlier(self, fingerprint: str, by: ports.Actor) -> Request | None:
        """The request when it came before; None = it did not. Raises `RepeatedRequestError` where that was another one."""
        if not by.idempotency_key:
            return None
        before = self._service.state.access.requests.get((by.token, by.idempotency_key))
        if before is not None and before.fingerprint != fingerprint:
            raise ports.RepeatedRequestError(_ANOTHER)
        return before

    def _repeated(
        self, fingerprint: str, given: str | None, by: ports.Actor
    ) -> ports.IssuedKey | None:
        """What the request got when it came before; None = it did not. Raises `RepeatedRequestError`, `RevokedKeyError`."""
        request = self._earlier(fingerprint, by)
        if request is None:
            return None
        text = given or self._key_for(by)
        # The hash differs where the server's secret is another one than at the first time.
        if self._service.state.access.hash_of(request.key_ref) != server_secret.key_hash(text):
            raise ports.RepeatedRequestError(_ANOTHER)
        try:
            _, key = self._in_force(request.key_ref)
        except ports.RevokedKeyError:
            raise ports.RevokedKeyError("the key of this idempotency key is revoked") from None
        return ports.IssuedKey(text, key.valid_until_us, key.key_ref)

    # Appending.

    def _need_room(self) -> None:
        """Part of every decision, so that nothing is refused between two events of one command."""
        if not self._log.has_room(reserved=True):
            raise ports.LogUnavailableError

    def _append(self, kind: int, data: dict[str, Any], by: ports.Actor) -> int:
        """Returns the event's sequence number."""
        self._last_seq = self._service.admin(kind, {**data, "by": by.as_data()})
        self._pending.note(self._last_seq, data, by)
        return self._last_seq

    @asynccontextmanager
    async def _answer(self, *about: Subject) -> AsyncIterator[None]:
        """Around what decides, without an await: the answer, a refusal too, is given when what it rests on is durable. That is
        the event it came to; where nothing had to change, the one that changed these things before. A log that takes nothing
        in says so at once."""
        before = self._last_seq
        try:
            yield
        except ports.LogUnavailableError:
            raise
        except ports.CommandError:
            await self._durable(self._pending.latest(about))
            raise
        changed = self._last_seq != before
        await self._durable(self._last_seq if changed else self._pending.latest(about))

    async def _durable(self, seq: int) -> None:
        """Wait until the event is more than in memory."""
        try:
            await self._log.wait_durable(seq)
        except LogFailedError:
            raise ports.LogUnavailableError from None
        self._pending.durable(seq)

    def _of_request(self, by: ports.Actor) -> list[Subject]:
        """What the answer to a request that comes again rests on."""
        before = self._service.state.access.requests.get((by.token, by.idempotency_key))
        if before is None or not by.idempotency_key:
            return []
        return [durable.request(by), durable.key_ref(before.key_ref)]


def _of_keys(new: Iterable[ports.NewKey]) -> list[Subject]:
    """The keys that are given."""
    return [durable.key(server_secret.key_hash(one.key)) for one in new if one.key is not None]


def _fingerprint(what: str, asked: Mapping[str, Any]) -> str:
    """32 hex digits that tell one request from another; what was left open does not count."""
    text = json.dumps([what, _said(asked)], sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:32]


def _said(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _request(fingerprint: str, by: ports.Actor) -> dict[str, str]:
    return {"request": fingerprint} if by.idempotency_key else {}
