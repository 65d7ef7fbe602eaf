"""The system refuses what the tracker asks it for: it waits and goes on, or says so and exits."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e import tracing
from tests.e2e.clients import announce, api, get, torrent, udp_client
from tests.e2e.process import COMMAND, DEADLINE, Tracker, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "strace works"),
]
WAITED_OUT = {
    "recvmmsg": ("EPERM", "EIO", "ENOMEM"),
    "accept4": ("EPERM", "EIO", "EMFILE", "ENOMEM"),
    "clone3": ("EAGAIN",),
    "openat": ("EMFILE", "EIO"),
    "flock": ("ENOLCK",),
    "fallocate": ("ENOSPC",),
    "mkdir": ("ENOSPC",),
    "unlink": ("EIO",),
    "getdents64": ("EIO",),
    "mmap": ("ENOMEM",),
}
"""No request fails that comes meanwhile."""
FAILING = {
    "socket": ("EMFILE",),
    "setsockopt": ("ENOBUFS",),
    "getrandom": ("EIO",),
    "sendto": ("ENOBUFS",),
    "recvfrom": ("EIO",),
    "read": ("EIO",),
    "write": ("EIO",),
    "pipe2": ("EMFILE",),
    "execve": ("ENOMEM", "EACCES"),
}
"""A request that needs the call may fail, and be made again."""


def rows(calls: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(call, error) for call, errors in calls.items() for error in errors]


def ask(tracker: Tracker, number: int) -> None:
    """Every listener, a commit, and both helper processes."""
    with udp_client(tracker.udp[0]) as client:
        client.announce(torrent(1), 1, 6001)
    announce(tracker.http[0], torrent(1), 2, 6002)
    api(tracker, f"/api/v1/whitelist/{number:040x}", "POST")
    assert api(tracker, "/api/v2/whitelist?at=1")["whitelist"] == []
    api(tracker, f"/api/v2/torrents/{torrent(1).hex()}/totals")
    assert b'"Ok"' in get(tracker.health, "/health_check")


def end_helpers(tracker: Tracker) -> None:
    """Kills the helper processes that answer questions, so that the next one starts another."""
    children = Path(f"/proc/{tracker.pid}/task/{tracker.pid}/children").read_text().split()
    for child in children:
        if b"follower" not in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """One tracker that survives all rows of the matrix, one after the other, and then is whole."""
    with closing(Tracker(tmp_path_factory.mktemp("tracker"))) as tracker:
        tracker.start()
        ask(tracker, 1)
        yield tracker
        lines = tracker.lines
        assert tracker.stop() == 0
        assert tracker.command("verify").returncode == 0
        assert lines is not None
        assert not [line for line in lines.all() if "during shutdown" in line]


@pytest.mark.parametrize(("call", "error"), rows(WAITED_OUT))
def test_it_waits_and_goes_on(lasting: Tracker, call: str, error: str) -> None:
    """Three refusals in a row, in each thread and new process, are waited out."""
    with tracing.attached([lasting.pid], call, f"error={error}:when=1..3", "-f"):
        ask(lasting, 2)
    ask(lasting, 3)


@pytest.mark.parametrize(("call", "error"), rows(FAILING))
def test_it_goes_on(lasting: Tracker, call: str, error: str) -> None:
    """Requests meanwhile may fail; afterwards all are served."""
    end_helpers(lasting)
    with tracing.attached([lasting.pid], call, f"error={error}:when=1..3", "-f"):
        for _ in range(2):
            asked(lasting)
    give_up = time.monotonic() + DEADLINE
    while not asked(lasting):
        assert time.monotonic() < give_up


def asked(tracker: Tracker) -> bool:
    try:
        ask(tracker, 2)
    except (OSError, HTTPException, ValueError, AssertionError):
        return False
    return True


@pytest.mark.parametrize("error", ["ENOMEM", "EPERM"])
def test_it_cannot_wait_for_requests(tracker: Tracker, error: str) -> None:
    """Without epoll_wait nothing goes on: one sentence, an exit code, and the log is whole."""
    ask(tracker, 1)
    with tracing.attached([tracker.pid], "epoll_wait", f"error={error}:when=1+"):
        assert tracker.wait() == 1
    assert tracker.command("verify").returncode == 0


def test_it_cannot_begin_to_wait(tracker: Tracker) -> None:
    """A refused epoll_ctl is waited out by the listener that needs it."""
    ask(tracker, 1)
    # Two: trio changes an entry, and if that is refused adds it anew.
    with tracing.attached([tracker.pid], "epoll_ctl", "error=ENOSPC:when=1..2"):
        ask(tracker, 2)
    assert tracker.stop() == 0
    assert tracker.command("verify").returncode == 0


STARTS = {
    "epoll_create1": "EMFILE",
    "epoll_ctl": "ENOSPC",
    "socketpair": "EMFILE",
    "setsockopt": "ENOMEM",
    "flock": "EIO",
    "rename": "ENOSPC",
}


def test_starts(tmp_path: Path) -> None:
    """A start that is refused for good ends with one line that says what was refused."""
    begun = []
    for call, error in STARTS.items():
        tracker = Tracker(tmp_path / call)
        fault = f"inject={call}:error={error}"
        command = ["strace", "-f", "-o", os.devnull, "-e", fault, *COMMAND]
        begun.append(
            subprocess.Popen(
                command,
                cwd=tracker.folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process, (call, error) in zip(begun, STARTS.items(), strict=True):
        with process:
            said = process.communicate(timeout=DEADLINE)[1]
        assert process.returncode == 1, call
        (line,) = said.splitlines()
        assert line.startswith("tracker: "), call
        why = os.strerror(getattr(errno, error))
        assert ("fs.epoll.max_user_watches" if call == "epoll_ctl" else why) in line, call
