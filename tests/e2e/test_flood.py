"""Tests that a flood decides neither how large the log is nor whose record it keeps, and that the
others are answered meanwhile.
"""

from __future__ import annotations

import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Self
from urllib.request import urlopen

from tests.e2e.clients import (
    MAGIC,
    UdpClient,
    announce_datagram,
    announce_target,
    api,
    ask,
    get,
    torrent,
    udp_client,
)
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Address, Tracker

SEGMENT, KEEP = 65_536, 262_144  # bytes
BATCH = 100  # datagrams; a receive buffer of 208 KiB takes 190 replies
HONEST = 15
LAST = struct.pack(">QII", MAGIC, 0, 0x7A7A7A7A)  # a connect, whose reply comes after all others


def small_log(tracker: Tracker) -> Tracker:
    text = tracker.config.read_text()
    sizes = f"segment_bytes = {SEGMENT}\nkeep_bytes = {KEEP}\n"
    tracker.config.write_text(text.replace("[event_log]\n", f"[event_log]\n{sizes}"))
    return tracker.start()


class Watch:
    """Looks at the size of a log all the time, and keeps the largest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "log" / "seg"
        self._over = Event()
        self._thread = Thread(target=self._look)
        self.largest = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(DEADLINE)

    def _look(self) -> None:
        while not self._over.wait(0.005):
            try:
                size = sum(path.stat().st_size for path in self._folder.iterdir())
            except FileNotFoundError:
                continue  # a segment was removed meanwhile
            self.largest = max(self.largest, size)


def flood(client: UdpClient, batches: int) -> set[bytes]:
    """Announces new torrents as fast as the tracker answers; returns the texts of its errors."""
    texts = set()
    client.wait_at_most(5)
    for batch in range(batches):
        for number in range(BATCH):
            info_hash = struct.pack(">II12x", batch, number)
            client.send(announce_datagram(client.connection_id, info_hash, 9, 2000))
        with suppress(TimeoutError):  # the last one was lost
            replies = client.replies(LAST)
            texts |= {reply[8:] for reply in replies if reply[:4] == struct.pack(">I", 3)}
    return texts


def others_are_served(tracker: Tracker, number: int) -> None:
    """An administrator writes, and the health check is well."""
    assert ask(tracker, "POST", f"/api/v1/whitelist/{number:040x}").status == 200
    host, port = tracker.health
    with urlopen(f"http://{host}:{port}/health_check", timeout=DEADLINE) as reply:
        assert reply.status == 200


def flood_http(address: Address, over: Event) -> int:
    """Announces over kept and over new connections until `over`; returns how many got an answer."""
    target, answered = announce_target(torrent(3), 1, 3001, left=1), 0
    request = f"GET {target} HTTP/1.1\r\nHost: tracker\r\n\r\n".encode()
    with socket.create_connection(address, DEADLINE) as kept:
        while not over.is_set():
            kept.sendall(BATCH * request)
            received = get(address, target)
            assert received.startswith(b"HTTP/1.1 200 OK")
            received = b""
            while received.count(b"HTTP/1.1 200 OK") < BATCH or not received.endswith(b"e"):
                data = kept.recv(1 << 20)
                assert data
                received += data
            answered += BATCH + 1
    return answered


def flood_udp(address: Address, over: Event) -> int:
    """Announces until `over`; returns how many batches it sent."""
    batches = 0
    with udp_client(address) as client:
        while not over.is_set():
            flood(client, 1)
            batches += 1
    return batches


def test_others_are_answered_under_both_floods(tracker: Tracker) -> None:
    """While UDP and HTTP are flooded together, every request of an administrator and every health
    check is answered.
    """
    over = Event()
    with ThreadPoolExecutor(4) as pool:
        floods = [
            pool.submit(one, address, over)
            for one, address in 2 * [(flood_udp, tracker.udp[0]), (flood_http, tracker.http[0])]
        ]
        try:
            for number in range(HONEST):
                others_are_served(tracker, number)
                assert api(tracker, "/api/v1/stats")["torrents"]
        finally:
            over.set()
        assert all(one.result() for one in floods)
    whitelisted = tracker.events_until(
        lambda found: len(found) == HONEST, "--type", "torrent_whitelisted"
    )
    assert len({each["info_hash"] for each in whitelisted}) == HONEST


def test_one_sender_is_refused_above_its_share(new_tracker: Callable[..., Tracker]) -> None:
    """The flood of one address is refused with a text and counted. What others announced before
    stays in the log, and nobody else notices.
    """
    extra = "[policy]\nrequests_per_minute = 1000"
    tracker = small_log(new_tracker(extra=extra))
    with udp_client(tracker.udp[0], "127.0.0.2") as honest, udp_client(tracker.udp[0]) as one:
        for number in range(HONEST):
            honest.announce(torrent(1), number, 3000 + number)
        with Watch(tracker.folder) as watch:
            for number in range(10):
                texts = flood(one, 40)
                others_are_served(tracker, number)
                assert honest.announce(torrent(2), number, 4000 + number).interval
        assert {text.partition(b":")[2] for text in texts} == {
            b" too many requests from your address or key, try again in a minute"
        }
    assert watch.largest <= KEEP
    metrics = ask(tracker, "GET", "/api/v1/metrics?format=prometheus").body
    assert 'swarmlog_requests_refused_total{reason="rate_exceeded"}' in metrics
    found = tracker.events_until(lambda found: len(found) == HONEST, "--info-hash", "01" * 20)
    assert {each["port"] for each in found} == {3000 + number for number in range(HONEST)}


def test_the_bound_of_the_log_holds(new_tracker: Callable[..., Tracker]) -> None:
    """Whoever floods and whichever peers are listed, the log ends at its bound. Old peers stay
    listed with their addresses, also after a crash.
    """
    tracker = small_log(new_tracker())
    with udp_client(tracker.udp[0], "127.0.0.2") as honest, udp_client(tracker.udp[0]) as one:
        honest.announce(torrent(1), 1, 3001)
        texts = set()
        with Watch(tracker.folder) as watch:
            for number in range(10):
                texts |= flood(one, 40)
                others_are_served(tracker, number)
            while b"cannot record" in (
                reply := honest.exchange(
                    announce_datagram(honest.connection_id, torrent(2), 2, 3002)
                )
            ):
                pass
            assert reply[:4] == struct.pack(">I", 1)
    # A frame is as large as a segment here.
    assert KEEP < watch.largest <= KEEP + 4 * SEGMENT
    assert texts <= {b"Tracker error: the tracker cannot record announces now, try again later"}
    removed = tracker.events_until(bool, "--type", "log_pruned")
    assert {each["by"]["token"] for each in removed} == {"keep_bytes"}
    assert min(each["seq"] for each in tracker.events("--type", "announced")) > 10
    tracker.kill()
    tracker.start()
    shown = api(tracker, f"/api/v1/torrent/{'01' * 20}")
    assert [each["peer_addr"] for each in shown["peers"]] == ["127.0.0.2:3001"]
    assert tracker.stop() == 0
    verified = tracker.command("verify")
    assert verified.returncode == 0, verified.stdout
