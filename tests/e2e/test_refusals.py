"""The system refuses what the tracker asks it for: it waits and goes on, or says so and exits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import tracing
from tests.e2e.clients import announce, api, torrent, udp_client

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "strace works"),
]
SURVIVED = [
    (call, error)
    for call, errors in {
        "recvmmsg": ("EPERM", "EIO", "ENOMEM"),
        "accept4": ("EPERM", "EIO", "EMFILE", "ENOMEM"),
        "clone3": ("EAGAIN",),
    }.items()
    for error in errors
]


def ask(tracker: Tracker) -> None:
    with udp_client(tracker.udp[0]) as client:
        client.announce(torrent(1), 1, 6001)
    announce(tracker.http[0], torrent(1), 2, 6002)
    api(tracker, f"/api/v1/whitelist/{torrent(3).hex()}", "POST")


@pytest.mark.parametrize(("call", "error"), SURVIVED)
def test_it_waits_and_goes_on(tracker: Tracker, call: str, error: str) -> None:
    """Three refusals in a row are waited out, and requests are answered again."""
    ask(tracker)
    with tracing.attached([tracker.pid], call, f"error={error}:when=1..3"):
        ask(tracker)
    ask(tracker)
    assert tracker.stop() == 0
    assert tracker.command("verify").returncode == 0


@pytest.mark.parametrize("error", ["ENOMEM", "EPERM"])
def test_it_cannot_wait_for_requests(tracker: Tracker, error: str) -> None:
    """Without epoll_wait nothing goes on: one sentence, an exit code, and the log is whole."""
    ask(tracker)
    with tracing.attached([tracker.pid], "epoll_wait", f"error={error}:when=1+"):
        assert tracker.wait() == 1
    assert tracker.command("verify").returncode == 0
