"""Appends the event of a command, waits until it is durable, and repeats earlier requests.

The commands of all nouns share this.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tracker import ports
from tracker.service.commands import pending
from tracker.service.durable import need_room, wait_durable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tracker.domain.access import Request
    from tracker.domain.events.registry import AdminEvent, Subject
    from tracker.service.append import Log
    from tracker.service.service import Service

ANOTHER_REQUEST = "the idempotency key came before with another request"


class Writing:
    """Base of the commands. They decide, append and apply without an await, and then wait."""

    def __init__(self, service: Service, log: Log, secret: bytes) -> None:
        """`secret`: 32 bytes, from which the commands derive keys."""
        self._service = service
        self._log = log
        self._secret = secret
        self._last_seq = -1  # of the latest admin event of this run
        self._pending = pending.Pending()

    def _need_room(self) -> None:
        """Raises `LogUnavailableError` if the log has no room.

        Call it while deciding, so that no refusal comes between two events of one command.
        """
        need_room(self._log)

    def _append(self, event: AdminEvent, by: ports.Actor, now: int | None = None) -> int:
        """Appends and applies the event. Returns its sequence number.

        `now`: as of `Service.append`.
        """
        self._last_seq = self._service.append(event, by, now)
        self._pending.note(self._last_seq, event, by)
        return self._last_seq

    @asynccontextmanager
    async def _answer(self, *subjects: Subject) -> AsyncIterator[None]:
        """Runs the block, then waits until the events that the reply depends on are durable.

        If the block appended an event, the reply depends on that event. If it appended none, or
        refused, the reply depends on the latest event on these subjects. `LogUnavailableError`
        passes at once.
        """
        before = self._last_seq
        try:
            yield
        except ports.LogUnavailableError:
            raise
        except ports.CommandError:
            await self._durable(self._pending.latest(subjects))
            raise
        changed = self._last_seq != before
        await self._durable(self._last_seq if changed else self._pending.latest(subjects))

    async def _durable(self, seq: int) -> None:
        """Waits until the event is durable. Raises `LogUnavailableError`."""
        await wait_durable(self._log, seq)
        self._pending.durable(seq)

    # Requests with an idempotency key.

    def _earlier(self, fingerprint: str, by: ports.Actor) -> Request | None:
        """Returns the earlier request with this idempotency key, or None.

        Raises `RepeatedRequestError` if the earlier request was a different one.
        """
        if not by.idempotency_key:
            return None
        before = self._service.state.access.requests.get((by.token, by.idempotency_key))
        if before is not None and before.fingerprint != fingerprint:
            raise ports.RepeatedRequestError(ANOTHER_REQUEST)
        return before

    def _of_request(self, by: ports.Actor) -> list[Subject]:
        """Returns the subjects that the reply to a repeated request depends on."""
        before = self._service.state.access.requests.get((by.token, by.idempotency_key))
        if before is None or not by.idempotency_key:
            return []
        return [pending.request(by), pending.key_ref(before.key_ref)]


def fingerprint_of(what: str, members: Mapping[str, Any]) -> str:
    """Returns 32 hex digits that identify a request. Members that are None do not count."""
    text = json.dumps([what, given(members)], sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:32]


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def request_of(fingerprint: str, by: ports.Actor) -> str | None:
    """Returns the `request` of an event: the fingerprint, or None without an idempotency key."""
    return fingerprint if by.idempotency_key else None
