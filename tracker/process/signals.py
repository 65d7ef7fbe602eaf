"""Handles signals: SIGTERM and SIGINT stop the tracker, SIGHUP reads its certificates again."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import trio

from tracker.frontends.tls import TlsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.frontends.tls import Certificate

log = logging.getLogger("tracker")

_STOPPING = (signal.SIGTERM, signal.SIGINT)


async def set_at_stop(
    stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Sets `stop` at the first SIGTERM or SIGINT; the second ends the process with code 1, also
    once this task was cancelled."""
    end_at_once(1)
    with trio.open_signal_receiver(*_STOPPING) as signals:
        task_status.started()
        async for number in signals:
            if stop.is_set():
                log.warning("Stopping at once")
                _exit(1)
            log.info("Stopping: %s", signal.Signals(number).name)
            stop.set()


def end_at_once(code: int) -> None:
    """Lets SIGTERM and SIGINT end the process with this code. No handler may raise while trio runs,
    because it would end trio in the middle of anything."""
    for number in _STOPPING:
        signal.signal(number, lambda *_: _exit(code))


def _exit(code: int) -> None:
    sys.stdout.flush()  # the text log
    os._exit(code)


async def reload_at_hangup(
    certificates: tuple[Certificate, ...], and_then: Callable[[], None] | None = None
) -> None:
    """Reads the certificates again at each SIGHUP, and calls `and_then`.

    If a certificate cannot be read, the old one stays in force.
    """
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            for certificate in certificates:
                _reload(certificate)
            if not certificates:
                log.info("SIGHUP: there are no certificates to read again")
            if and_then is not None:
                and_then()


def _reload(certificate: Certificate) -> None:
    try:
        certificate.reload()
    except TlsError as error:
        log.error("The certificate in force stays: %s", error)
    else:
        log.info("Certificate read again: %s", certificate)
