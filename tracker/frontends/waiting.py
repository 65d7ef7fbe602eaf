"""Waits out what the system refuses, so that no listener ends for it."""

from __future__ import annotations

import logging

import trio

from eventlog import RepeatedWarning

REFUSED_SECONDS = 0.1
"""Seconds of waiting after the system refused to wait for clients, to accept or to receive."""

_trouble = RepeatedWarning(logging.getLogger("tracker"), "")


async def wait_out(error: OSError) -> None:
    """Waits before another attempt; says once a day why."""
    _trouble.warn("The system refused connections or datagrams, tried again: %s", error)
    await trio.sleep(REFUSED_SECONDS)
