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
    from tracker.frontends.tls import Certificate

log = logging.getLogger("tracker")

_STOPPING = (signal.SIGTERM, signal.SIGINT)


async def set_at_stop(stop: trio.Event) -> None:
    """Sets `stop` at the first SIGTERM or SIGINT; the second ends the process with code 1."""
    with trio.open_signal_receiver(*_STOPPING) as signals:
        async for number in signals:
            if stop.is_set():
                log.warning("Stopping at once")
                _exit(1)
            log.info("Stopping: %s", signal.Signals(number).name)
            stop.set()


def exit_at_stop() -> None:
    """Lets SIGTERM and SIGINT end the process with code 0, because the log is closed.

    The rest of the stop only makes the next start faster.
    """
    for number in _STOPPING:
        signal.signal(number, lambda *_: _exit(0))


def _exit(code: int) -> None:
    sys.stdout.flush()  # the text log
    os._exit(code)


async def reload_at_hangup(certificates: tuple[Certificate, ...]) -> None:
    """Reads the certificates again at each SIGHUP.

    If a certificate cannot be read, the old one stays in force.
    """
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            for certificate in certificates:
                _reload(certificate)
            if not certificates:
                log.info("SIGHUP: there are no certificates to read again")


def _reload(certificate: Certificate) -> None:
    try:
        certificate.reload()
    except TlsError as error:
        log.error("The certificate in force stays: %s", error)
    else:
        log.info("Certificate read again: %s", certificate)
