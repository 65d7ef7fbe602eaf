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
        """`secret`: 32 bytes from which random keys follow."""
        self._service = service
        self._log = log
        self._secret = secret
        self._last_seq = -1  # of the latest admin event of this run
        self._pending = pending.Pending()

    def _need_room(self) -> None:
        """Part of every decision, so that nothing is refused between two events of one command."""
        need_room(self._log)

    def _append(self, event: AdminEvent, by: ports.Actor) -> int:
        """Returns the event's sequence number."""
        self._last_seq = self._service.append(event, by)
        self._pending.note(self._last_seq, event, by)
        return self._last_seq

    @asynccontextmanager
    async def _answer(self, *subjects: Subject) -> AsyncIterator[None]:
        """Runs the decision inside, then waits until the events that the reply depends on are
        durable.

        That is the event which the decision appended. Where it appended none, the reply depends on
        the latest event on these subjects; so do refusals. A log that takes no event is reported at
        once.
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
        """The same request when it came before, else None.

        Raises `RepeatedRequestError` for another one.
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
    """32 hex digits that tell one request from another; members that are None do not count."""
    text = json.dumps([what, given(members)], sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:32]


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def request_of(fingerprint: str, by: ports.Actor) -> str | None:
    """The `request` of an event: the fingerprint, where a repetition could be recognised."""
    return fingerprint if by.idempotency_key else None
