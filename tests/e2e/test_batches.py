"""Batches of both engines end in the middle: the tracker is killed, or its disk fails.

With `durability = "strict"` whatever was answered is in the log all the same.
"""

from __future__ import annotations

import signal
import socket
import struct
import time
from contextlib import suppress
from operator import ge
from threading import Condition, Thread
from typing import IO, TYPE_CHECKING

import pytest

from tests.e2e import tracing
from tests.e2e.clients import UdpClient, announce_datagram, announce_target, torrent
from tests.e2e.load import check_whole
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Address, Tracker

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(tracing.why_not()), reason=tracing.why_not() or "strace works"),
]
DATAGRAMS, REQUESTS = 100, 40  # sent at once
HTTP_FROM = 10**9  # numbers below are those of announces over UDP
PAUSE = 0.02  # seconds between two bursts, because all of it is read from the log in the end
LOG_FAILED = 3  # the exit code


class Storm:
    """Announces over UDP and in pipelined requests, many at once. Each says its number in `left`;
    `answered` has the numbers of those that were answered, and not refused.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.answered: set[int] = set()
        self._changed = Condition()
        self._over = False
        kinds = ((self._udp, tracker.udp[0]), (self._http, tracker.http[0]))
        self._threads = [Thread(target=kind, args=[address]) for kind, address in kinds]
        for thread in self._threads:
            thread.start()

    def wait(self, number: int) -> None:
        """Waits until both kinds have that many more answers."""
        with self._changed:
            due = [count + number for count in self._counts()]

            def reached() -> bool:
                return all(map(ge, self._counts(), due))

            assert self._changed.wait_for(reached, DEADLINE)

    def end(self) -> None:
        self._over = True
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()

    def _counts(self) -> tuple[int, int]:
        over_udp = sum(number < HTTP_FROM for number in self.answered)
        return over_udp, len(self.answered) - over_udp

    def _note(self, number: int) -> None:
        with self._changed:
            self.answered.add(number)
            self._changed.notify_all()

    def _udp(self, address: Address) -> None:
        client, last = UdpClient(address), 0
        try:
            client.connect()
            client.wait_at_most(1)
            while not self._over:
                for number in range(last + 1, last + 1 + DATAGRAMS):
                    sent = announce_datagram(
                        client.connection_id, torrent(number % 9), number, 2000, left=number
                    )
                    client.send(sent[:12] + struct.pack(">I", number) + sent[16:])
                last += DATAGRAMS
                with suppress(TimeoutError):  # some were lost, or the disk lets them wait
                    for _ in range(DATAGRAMS):
                        action, number = struct.unpack(">II", client.receive()[:8])
                        if action == 1:
                            self._note(number)
                time.sleep(PAUSE)
        except OSError:
            pass  # the tracker is gone
        finally:
            client.close()

    def _http(self, address: Address) -> None:
        last = HTTP_FROM
        try:
            with socket.create_connection(address, DEADLINE) as sock:
                replies = sock.makefile("rb")
                while not self._over:
                    numbers = range(last + 1, last + 1 + REQUESTS)
                    targets = [announce_target(torrent(n % 9), n, 2000, left=n) for n in numbers]
                    head = " HTTP/1.1\r\nHost: t\r\n\r\n"
                    sock.sendall("".join(f"GET {one}{head}" for one in targets).encode())
                    last += REQUESTS
                    for number in numbers:
                        body = one_body(replies)
                        if b"8:interval" in body:
                            self._note(number)
                    time.sleep(PAUSE)
        except OSError:
            pass


def one_body(replies: IO[bytes]) -> bytes:
    """Reads one reply, and returns its body. Raises `OSError` if the connection ends before."""
    size = 0
    while (line := replies.readline()) != b"\r\n":
        if not line:
            raise ConnectionError
        if line.startswith(b"Content-Length: "):
            size = int(line[16:])
    body = replies.read(size)
    if len(body) < size:
        raise ConnectionError
    return body


@pytest.fixture(params=["group", "strict"])
def tracker(request: pytest.FixtureRequest, new_tracker: Callable[..., Tracker]) -> Tracker:
    tracker = new_tracker()
    text = tracker.config.read_text()
    tracker.config.write_text(f'{text}durability = "{request.param}"\n')
    return tracker.start()


def check(tracker: Tracker, storm: Storm) -> None:
    """The log is whole, and has what it must."""
    assert tracker.command("verify").returncode == 0
    tracker.start()
    assert tracker.stop() == 0
    check_whole(tracker)
    logged = {one["left"] for one in tracker.events("--type", "announced")}
    assert logged
    if '"strict"' in tracker.config.read_text():
        assert storm.answered <= logged


@pytest.mark.parametrize("call", ["recvmmsg", "sendmmsg", "sendto"])
def test_killed_in_a_batch(tracker: Tracker, call: str) -> None:
    """A kill before a batch is decided, and between that and its replies."""
    storm = Storm(tracker)
    storm.wait(500)
    with tracing.attached([tracker.pid], call, "signal=KILL:when=3"):
        assert tracker.wait() == -signal.SIGKILL
    storm.end()
    check(tracker, storm)


@pytest.mark.parametrize(
    ("call", "fault"), [("pwrite64", "error=ENOSPC:when=1..3"), ("fdatasync", "error=EIO:when=1+")]
)
def test_the_disk_fails_in_a_batch(tracker: Tracker, call: str, fault: str) -> None:
    """A full disk is waited out while batches wait for it; after a failure that lasts, it ends."""
    storm = Storm(tracker)
    storm.wait(500)
    with tracing.attached(tracing.workers(tracker.pid), call, fault):
        if "+" in fault:
            assert tracker.wait() == LOG_FAILED
        else:
            storm.wait(500)
    storm.end()
    if "+" not in fault:
        assert tracker.stop() == 0
    check(tracker, storm)
