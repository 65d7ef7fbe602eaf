"""Admin writes: decide against the state, append, and answer once the event is on stable storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from eventlog import LogFailedError
from tracker import ports, secrets
from tracker.domain import events
from tracker.domain.accounts import MOST
from tracker.domain.factors import ANY_TORRENT, ANYBODY, MOST_PERCENT
from tracker.history import factor_seen

if TYPE_CHECKING:
    from tracker.domain.access import Access
    from tracker.domain.factors import Factor
    from tracker.service import Log, Service

_LAST_US = 253_402_300_800 * 1_000_000  # the end of the year 9999: later dates cannot be printed
_LABEL_LENGTH = 100

FACTORS_PER_SCOPE = 16
"""Factors of one account and torrent (or all of either) at a time: each announce there looks at all of them."""


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

    async def set_factor(self, terms: ports.FactorTerms, by: ports.Actor) -> ports.Factor:
        state, now = self._service.state, self._service.now_us()
        if terms.account is not None and not state.access.has_account(terms.account):
            await self._durable()
            raise ports.UnknownAccountError
        _check_terms(terms, now)
        scope = terms.account or ANYBODY, terms.info_hash or ANY_TORRENT
        there = [one for one in state.factors.in_scope(*scope) if not one.is_over(now)]
        for factor in there:
            if _says_the_same(factor, terms, now):
                await self._durable()
                return factor_seen(factor)
        from_us = now if terms.from_us is None else terms.from_us
        if from_us < now:
            raise ports.InvalidFactorError(
                "it cannot begin in the past: what was credited stays, or is corrected"
            )
        if len(there) >= FACTORS_PER_SCOPE:
            raise ports.InvalidFactorError(f"there are {len(there)} of this scope already")
        number = state.factors.next_number
        terms = evolve(terms, from_us=from_us)
        seq = await self._write(events.CREDIT_FACTOR_SET, _factor_data(number, terms), by)
        return ports.Factor(number, seq, terms)

    async def end_factor(self, number: int, by: ports.Actor) -> None:
        factors = self._service.state.factors
        factor = factors.current.get(number)
        if factor is not None and not factor.is_over(self._service.now_us()):
            await self._write(events.CREDIT_FACTOR_ENDED, {"factor": number}, by)
            return
        await self._durable()
        if not 0 < number < factors.next_number:
            raise ports.UnknownFactorError

    async def correct(
        self, account: int, uploaded: int, downloaded: int, corrects: int, by: ports.Actor
    ) -> int:
        state = self._service.state
        if not state.access.has_account(account):
            await self._durable()
            raise ports.UnknownAccountError
        if not by.reason:
            raise ports.InvalidCorrectionError("a correction needs a reason")
        if not uploaded and not downloaded:
            raise ports.InvalidCorrectionError("a correction of nothing")
        if not 0 <= corrects < state.seq:
            raise ports.InvalidCorrectionError(f"there is no event {corrects} to correct")
        try:
            state.accounts.corrected(account, uploaded, downloaded)
        except ValueError as error:
            raise ports.InvalidCorrectionError(
                f"it would lead to {error}; they stay from 0 to {MOST}"
            ) from None
        data = {
            "account": account,
            "uploaded": uploaded,
            "downloaded": downloaded,
            "corrects": corrects,
        }
        return await self._write(events.CREDIT_CORRECTED, data, by)

    async def _write(self, kind: int, data: dict[str, Any], by: ports.Actor) -> int:
        """Returns the event's sequence number once it is on stable storage."""
        who = {"token": by.token, "address": by.address, "request_id": by.request_id}
        if by.reason:
            who["reason"] = by.reason
        if not self._log.has_room(reserved=True):
            raise ports.LogUnavailableError
        seq = self._last_seq = self._service.admin(kind, {**data, "by": who})
        await self._durable()
        return seq

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


def _says_the_same(factor: Factor, terms: ports.FactorTerms, now: int) -> bool:
    """Whether asking for these terms (in the same scope) asks for a factor that is there already."""
    begins = factor.from_us <= now if terms.from_us is None else factor.from_us == terms.from_us
    return begins and (
        (factor.upload_percent, factor.download_percent, factor.until_us, factor.label)
        == (terms.upload_percent, terms.download_percent, terms.until_us, terms.label)
    )


def _check_terms(terms: ports.FactorTerms, now: int) -> None:
    """Raises `InvalidFactorError`."""
    percents = [each for each in (terms.upload_percent, terms.download_percent) if each is not None]
    from_us = now if terms.from_us is None else terms.from_us
    until_us = _LAST_US if terms.until_us is None else terms.until_us
    problem = None
    if not percents:
        problem = "it says nothing about uploads or downloads"
    elif not all(0 <= percent <= MOST_PERCENT for percent in percents):
        problem = f"percentages go from 0 to {MOST_PERCENT}"
    elif terms.info_hash is not None and len(terms.info_hash) != 20:
        problem = "an info hash has 20 bytes"
    elif not from_us < until_us <= _LAST_US:
        problem = "it would be over before it begins, or end after the year 9999"
    elif len(terms.label) > _LABEL_LENGTH or not terms.label.isprintable():
        problem = f"a label has at most {_LABEL_LENGTH} printable characters"
    if problem:
        raise ports.InvalidFactorError(problem)


def _factor_data(number: int, terms: ports.FactorTerms) -> dict[str, Any]:
    """The event's data; what it does not say anything about is absent."""
    given = {"torrent": terms.info_hash, "account": terms.account}
    scope = [name for name, value in given.items() if value is not None]
    data: dict[str, Any] = {
        "factor": number,
        "scope": "+".join(scope) or "global",
        "from_us": terms.from_us,
        "until_us": terms.until_us,
        "label": terms.label,
    }
    said = {
        "account": terms.account,
        "info_hash": None if terms.info_hash is None else terms.info_hash.hex(),
        "upload_percent": terms.upload_percent,
        "download_percent": terms.download_percent,
    }
    return data | {name: value for name, value in said.items() if value is not None}
