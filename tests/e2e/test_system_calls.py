"""Tests failing system calls of a running tracker: it goes on or stops by itself.

Acknowledged writes are never lost.
"""

from __future__ import annotations

import signal
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

import pytest

from tests.e2e import tracing
from tests.e2e.clients import UdpClient, announce_datagram, torrent
from tests.e2e.load import Writes
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "strace works"),
]
SEGMENT = "segment_bytes = 65536"
WRITES, BURST = (
    18,
    45,
)  # admin writes, and announces before each: together they fill more than a segment
LOG_FAILED = 3  # the exit code


def some_writes(tracker: Tracker, writes: Writes) -> bool:
    """Makes writes on both sides of a new segment; returns false if one was not acknowledged."""
    connection = HTTPConnection(*tracker.api, timeout=DEADLINE)
    client = UdpClient(tracker.udp[0])
    try:
        client.connect()
        for number in range(WRITES):
            for each in range(BURST):
                client.send(announce_datagram(client.connection_id, torrent(number), each, 7000))
            told = writes.not_vouched
            # The note is written by other threads, and a failure of theirs is told and outlived.
            if not writes.write(connection) and writes.not_vouched == told:
                return False
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
        client.close()
    return True


ONCE = [f"error=EIO:when={when}" for when in (1, 2, 4)] + ["error=ENOSPC:when=1"]
LASTING = ["error=EIO:when=1+", "error=EIO:when=3+"]
FOR_A_WHILE = [f"error={error}:when=1..3" for error in ("ENOSPC", "EDQUOT", "EMFILE")]
KILLS = [f"signal=KILL:when={when}" for when in (1, 2, 4)]
CALLS = {"pwrite64": 3, "fdatasync": 3, "openat": 1, "?rename,renameat": 1, "fsync": 1}
"""By name: the number of calls that the writes are sure to make."""


def cases() -> list[tuple[str, str]]:
    def reached(call: str, fault: str) -> bool:
        first = fault.partition("when=")[2].rstrip("+").partition("..")[0]
        return int(first) <= CALLS[call] + 1

    return [
        (call, fault)
        for call in CALLS
        for fault in (*ONCE, *FOR_A_WHILE, *LASTING, *KILLS)
        if reached(call, fault)
    ]


@pytest.mark.parametrize(("call", "fault"), cases())
def test_a_call_of_the_committing_thread(
    new_tracker: Callable[..., Tracker], call: str, fault: str
) -> None:
    """Writes go on, or the tracker exits with its own code; acknowledged writes survive."""
    tracker = new_tracker()
    tracker.config.write_text(tracker.config.read_text() + f"{SEGMENT}\n")
    tracker.start()
    writes = Writes()
    assert some_writes(tracker, writes)
    with tracing.attached(tracing.workers(tracker.pid), call, fault):
        done = some_writes(tracker, writes)
        if not done:
            assert tracker.wait() == (-signal.SIGKILL if "KILL" in fault else LOG_FAILED)
    if done:
        assert tracker.stop() == 0
    else:
        lasting_or_fatal = "+" in fault or "KILL" in fault
        assert lasting_or_fatal, "one failure has to be survived, and want waited out"
    writes.check(tracker)
