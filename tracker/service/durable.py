"""Appends admin events and waits until they are on stable storage.

Administrators' commands and upkeep use it, because the write path of the service has no await.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlog import LogFailedError
from tracker import ports
from tracker.store.noting import NotVouchedError

if TYPE_CHECKING:
    from tracker.domain.events.registry import AdminEvent
    from tracker.service.append import Log
    from tracker.service.service import Service


def need_room(log: Log) -> None:
    """Raises `ports.LogUnavailableError` when the log takes no admin event now."""
    if not log.has_room(reserved=True):
        raise ports.LogUnavailableError


async def wait_durable(log: Log, seq: int) -> None:
    """Returns once the event is on stable storage, and the log's note covers it.

    Raises `ports.LogUnavailableError`; `ports.NotVouchedError` if only the note is missing.
    """
    try:
        await log.wait_durable(seq)
    except NotVouchedError:
        raise ports.NotVouchedError from None
    except LogFailedError:
        raise ports.LogUnavailableError from None


async def append_durably(service: Service, log: Log, event: AdminEvent, by: ports.Actor) -> None:
    """Appends and applies an event; returns once it is durable.

    Raises `ports.LogUnavailableError`.
    """
    need_room(log)
    await wait_durable(log, service.append(event, by))
