"""What SIGTERM and SIGINT do while the tracker stops."""

from __future__ import annotations

import subprocess
import sys

import pytest

STOPPING = """
import signal, sys, trio
from tracker.process import signals

signal.signal(signal.{name}, lambda *_: sys.exit(0))  # as during a start

async def last_commit():
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
            signal.raise_signal(signal.{name})
            await trio.sleep_forever()

async def main():
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(signals.set_at_stop, stop)
        nursery.start_soon(last_commit)
        signal.raise_signal(signal.{name})
        await stop.wait()
        nursery.cancel_scope.cancel()

import trio.testing
trio.run(main)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_second_signal_while_the_log_closes(name: str) -> None:
    """It ends the process at once with code 1, and raises nothing in the middle of the last commit,
    which trio would complain of."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", STOPPING.format(name=name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
