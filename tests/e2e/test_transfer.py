"""Tests a transfer between two real clients that find each other only by this tracker."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import api
from tests.e2e.process import Listeners
from tests.e2e.swarm import Client, content, unused_host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Event, Tracker

SIZE = 3_000_000


@pytest.mark.parametrize("protocol", ["http", "udp"])
def test_transfer(new_tracker: Callable[..., Tracker], tmp_path: Path, protocol: str) -> None:
    """The file arrives, the API counts one completion, and the log has both peers' announces."""
    tracker = new_tracker(Listeners(udp=(f"{unused_host()}:0",))).start()
    ((host, port),) = getattr(tracker, protocol)
    data = random.Random(3).randbytes(SIZE)
    torrent = content(data, f"{protocol}://{host}:{port}/announce")
    have, want = torrent.put_into(tmp_path / "have"), tmp_path / "want"
    with closing(Client(torrent, have)) as seed, closing(Client(torrent, want)) as leech:
        seed.wait_announced()
        leech.wait_complete()
        ports = seed.port, leech.port
        leech.wait_announced(2)  # `started` and `completed`
        assert torrent.found_in(want)
        _check_api(tracker, torrent.info_hash, ports)
        leech.leave()
        seed.leave()
        events = tracker.events_until(
            lambda found: [one["event"] for one in found].count("stopped") == 2,
            "--type", "announced", "--info-hash", torrent.info_hash.hex(),
        )  # fmt: skip
    stats = api(tracker, "/api/v1/stats")
    assert (stats["completed"], stats["seeders"], stats["leechers"]) == (1, 0, 0)
    assert {one["protocol"] for one in events} == {protocol}
    assert {one["port"] for one in events} == set(ports)
    _check_seed([one for one in events if one["port"] == ports[0]])
    _check_leech([one for one in events if one["port"] == ports[1]])


def _check_api(tracker: Tracker, info_hash: bytes, ports: tuple[int, int]) -> None:
    stats = api(tracker, "/api/v1/stats")
    assert (stats["completed"], stats["seeders"], stats["leechers"]) == (1, 2, 0)
    shown = api(tracker, f"/api/v1/torrent/{info_hash.hex()}")
    assert (shown["completed"], shown["seeders"], shown["leechers"]) == (1, 2, 0)
    assert {peer["peer_addr"] for peer in shown["peers"]} == {f"127.0.0.1:{p}" for p in ports}
    assert {peer["peer_id"]["client"] for peer in shown["peers"]} == {"libtorrent (Rasterbar)"}


def _check_chain(events: list[Event], kinds: list[str]) -> None:
    """Checks one peer's announces: the events in order, each naming the one before it."""
    # A client may announce between events at any time.
    assert [one["event"] for one in events if one["event"] != "none"] == kinds
    assert [one["prev_seq"] for one in events] == [None, *(one["seq"] for one in events[:-1])]
    assert len({one["peer_id"] for one in events}) == 1
    assert bytes.fromhex(events[0]["peer_id"]).startswith(b"-LT")


def _check_seed(events: list[Event]) -> None:
    _check_chain(events, ["started", "stopped"])
    assert {one["left"] for one in events} == {0}
    assert events[0]["uploaded"] == 0
    assert events[-1]["uploaded"] >= SIZE


def _check_leech(events: list[Event]) -> None:
    _check_chain(events, ["started", "completed", "stopped"])
    assert [one["left"] for one in events] == [SIZE] + [0] * (len(events) - 1)
    assert events[0]["downloaded"] == 0
    assert events[-1]["downloaded"] >= SIZE
