"""Admin writes: decide against the state, append, and answer once the event is on stable storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventlog import LogFailedError
from tracker import ports, secrets
from tracker.domain import events

if TYPE_CHECKING:
    from tracker.domain.access import Access
    from tracker.service import Log, Service

_LAST_US = 253_402_300_800 * 1_000_000  # the end of the year 9999: later dates cannot be printed


class ServiceCommands:
    """`ports.Commands` over the service. `wait_durable` is outside the write path: that one has no await."""

    def __init__(self, service: Service, log: Log, secret: bytes) -> None:
        self._service = service
        self._log = log
        self._secret = secret
        self._last_seq = -1  # of the latest admin event of this run

    async def whitelist_add(self, info_hash: bytes, by: ports.Actor) -> None:
        if info_hash in self._service.state.access.whitelist:
            await self._durable()
        else:
            await self._write(events.TORRENT_WHITELISTED, {"info_hash": info_hash.hex()}, by)

    async def whitelist_remove(self, info_hash: bytes, by: ports.Actor) -> None:
        if info_hash in self._service.state.access.whitelist:
            await self._write(events.TORRENT_DELISTED, {"info_hash": info_hash.hex()}, by)
        else:
            await self._durable()

    async def issue_key(self, seconds_valid: int | None, by: ports.Actor) -> ports.IssuedKey:
        # A number beside the request id: a client that sends the same id for two requests still
        # gets two keys.
        number = self._service.state.access.next_key_ref
        key = secrets.tracker_key(self._secret, f"{number} {by.request_id}")
        return await self._add(key, seconds_valid, by)

    async def add_key(
        self, key: str, seconds_valid: int | None, by: ports.Actor
    ) -> ports.IssuedKey:
        if secrets.key_hash(key) in self._service.state.access.keys:
            await self._durable()
            raise ports.DuplicateKeyError
        return await self._add(key, seconds_valid, by)

    async def _add(self, key: str, seconds_valid: int | None, by: ports.Actor) -> ports.IssuedKey:
        valid_until_us = None
        if seconds_valid is not None:
            valid_until_us = self._service.now_us() + seconds_valid * 1_000_000
            if valid_until_us >= _LAST_US:
                raise ports.InvalidDurationError
        access = self._service.state.access
        data = {
            "key_hash": secrets.key_hash(key).hex(),
            "key_ref": access.next_key_ref,
            "account": _account(access, key),
            "valid_until_us": valid_until_us,
        }
        await self._write(events.KEY_ISSUED, data, by)
        return ports.IssuedKey(key, valid_until_us)

    async def revoke_key(self, key: str, by: ports.Actor) -> None:
        key_hash = secrets.key_hash(key)
        known = self._service.state.access.keys.get(key_hash)
        if known is None:
            await self._durable()
            raise ports.UnknownKeyError
        data = {"key_hash": key_hash.hex(), "key_ref": known.key_ref}
        await self._write(events.KEY_REVOKED, data, by)

    async def _write(self, kind: int, data: dict[str, Any], by: ports.Actor) -> None:
        if not self._log.has_room(reserved=True):
            raise ports.LogUnavailableError
        self._last_seq = self._service.admin(kind, {**data, "by": by.as_data()})
        await self._durable()

    async def _durable(self) -> None:
        """Wait until no admin event is only in memory: also an answer that nothing had to change rests on
        the event that changed it before."""
        try:
            await self._log.wait_durable(self._last_seq)
        except LogFailedError:
            raise ports.LogUnavailableError from None


def _account(access: Access, key: str) -> int:
    """A key that is issued again goes on with its account."""
    before = access.revoked.get(secrets.key_hash(key))
    return before.account if before else access.account_for(None)
