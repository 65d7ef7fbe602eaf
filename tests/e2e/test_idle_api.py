"""Tests thousands of idle connections to the API: announces go on, and the API recovers."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from tests.e2e.clients import announce, api, torrent, udp_client
from tests.e2e.process import DEADLINE
from tests.support import few_or_many

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

KEPT_FREE = 300  # descriptors for everything else in this process


def room(wanted: int) -> int:
    """Returns how many connections this process may hold, at most so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - KEPT_FREE)


@few_or_many(1_000, 10_000)
def test_idle_connections(tracker: Tracker, count: int) -> None:
    """Idle connections are closed; announces are answered meanwhile, and the API afterwards."""
    count = room(count)
    assert count > 600, "more descriptors are needed to say anything"
    with ExitStack() as opened:
        idle = [opened.enter_context(socket.socket()) for _ in range(count)]
        for number, sock in enumerate(idle):
            sock.settimeout(DEADLINE)
            sock.connect(tracker.api)
            if number % 500 == 499:
                assert "interval" in announce(tracker.http[0], torrent(1), number, 6881)
                with udp_client(tracker.udp[0]) as client:
                    assert client.announce(torrent(2), number, 6881).interval
        # The tracker accepted the first ones and closed them as idle. All end without a response.
        assert {sock.recv(1) for sock in (idle[0], idle[511], idle[-1])} == {b""}
        for sock in idle:
            assert sock.recv(1) == b""
    assert api(tracker, "/api/v1/stats")["torrents"] == 2
