"""Tests kills and stops: the next run knows everything that was answered, and clients go on."""

from __future__ import annotations

import random
import re
import signal
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import COMPLETED, STARTED, STOPPED, announce, api, torrent, udp_client
from tests.e2e.process import lasting_listeners
from tests.e2e.swarm import Client, content, unused_host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Event, Tracker

SIZE = 3_000_000
SLOW = 100_000  # bytes a second, so that the transfer is under way at the kill
OF_ANNOUNCES = ("--type", "announced")


@pytest.fixture
def tracker(new_tracker: Callable[..., Tracker]) -> Tracker:
    """A tracker that can be restarted on its ports."""
    return new_tracker(lasting_listeners(unused_host())).start()


OF_THE_PROCESS = re.compile("udp_|udp[46]_(requests|responses|errors_handled)$")
"""Names of statistics that begin at 0 with each start, because the log does not hold them."""


def answers_of(tracker: Tracker, *hashes: bytes) -> list[Any]:
    """Returns the API's statistics from the log, all torrents, and the peers of these torrents."""
    stats = api(tracker, "/api/v1/stats")
    logged = {name: n for name, n in stats.items() if not OF_THE_PROCESS.match(name)}
    paths = ("torrents", *(f"torrent/{info_hash.hex()}" for info_hash in hashes))
    return [logged, *(api(tracker, f"/api/v1/{path}") for path in paths)]


def wait_durable(tracker: Tracker) -> list[Event]:
    """Waits until the log holds all that the statistics count, so that a kill loses nothing."""
    stats = api(tracker, "/api/v1/stats")

    def complete(events: list[Event]) -> bool:
        counted = {"tcp4_scrapes": 0, "udp4_scrapes": 0, "udp4_connects": 0}
        for one in events:
            if one["type"] == "counted" and one["counter"] in counted:
                counted[one["counter"]] += one["delta"]
        announced = [one["protocol"] for one in events if one["type"] == "announced"]
        return bool(
            announced.count("http") == stats["tcp4_announces_handled"]
            and announced.count("udp") == stats["udp4_announces_handled"]
            and counted["tcp4_scrapes"] == stats["tcp4_scrapes_handled"]
            and counted["udp4_scrapes"] == stats["udp4_scrapes_handled"]
            and counted["udp4_connects"] == stats["udp4_connections_handled"]
        )

    return tracker.events_until(complete)


def starts_and_stops(events: list[Event]) -> list[str]:
    """Returns the types of the events with which runs begin and end."""
    return [one["type"] for one in events if one["type"].startswith("tracker_")]


@pytest.mark.clients
def test_kill_in_mid_swarm(tracker: Tracker, tmp_path: Path) -> None:
    """After a kill during a transfer the tracker knows the swarm, and the clients finish.

    This is UDP in public mode; `test_restart_in_mid_transfer` is the same over HTTP with keys.
    """
    ((host, port),) = tracker.udp
    shared = content(random.Random(4).randbytes(SIZE), f"udp://{host}:{port}/announce")
    have, want = shared.put_into(tmp_path / "have"), tmp_path / "want"
    with closing(Client(shared, have)) as seed, closing(Client(shared, want, SLOW)) as leech:
        seed.wait_announced()
        leech.wait_announced()
        leech.wait_downloading()
        wait_durable(tracker)
        before = answers_of(tracker, shared.info_hash)
        assert (before[0]["seeders"], before[0]["leechers"]) == (1, 1)
        tracker.kill()
        assert not leech.complete
        tracker.restart()
        assert answers_of(tracker, shared.info_hash) == before
        seed.reannounce()
        leech.unlimit()
        leech.wait_complete()
        assert shared.found_in(want)
        leech.wait_announced(2)
        after = answers_of(tracker, shared.info_hash)
        assert (after[0]["seeders"], after[0]["leechers"], after[0]["completed"]) == (2, 0, 1)
        events = wait_durable(tracker)
    assert starts_and_stops(events) == ["tracker_started", "tracker_started"]
    second_start = [one["seq"] for one in events if one["type"] == "tracker_started"][1]
    resumed = [one for one in events if one["type"] == "announced" and one["seq"] > second_start]
    # Announces after the kill continue those before it.
    assert all(one["prev_seq"] is not None for one in resumed)
    assert [one["event"] for one in resumed if one["event"] != "none"] == ["completed"]


def test_a_kill_keeps_everything(tracker: Tracker) -> None:
    """Counters, completions, keys and whitelist survive a kill; connection ids stay good."""
    api(tracker, f"/api/v1/whitelist/{torrent(1).hex()}", "POST")
    key = api(tracker, "/api/v1/key/3600", "POST")["key"]
    with udp_client(tracker.udp[0]) as client:
        for peer in range(20):
            client.announce(torrent(peer % 3), peer, 6000 + peer, left=peer % 4, event=STARTED)
            announce(tracker.http[0], torrent(peer % 3), 100 + peer, 7000 + peer, left=peer % 5)
        client.announce(torrent(1), 1, 6001, event=COMPLETED)
        client.announce(torrent(2), 2, 6002, left=2, event=STOPPED)
        client.scrape(torrent(0), torrent(9))
        wait_durable(tracker)
        before = answers_of(tracker, torrent(0), torrent(1), torrent(2))
        tracker.kill()
        tracker.restart()
        assert answers_of(tracker, torrent(0), torrent(1), torrent(2)) == before
        # The connection id was issued before the kill.
        answer = client.announce(torrent(1), 1, 6001)
        assert (answer.seeders, answer.leechers) == (
            before[3]["seeders"],
            before[3]["leechers"],
        )
        assert len(answer.peers) == answer.seeders + answer.leechers - 1
        assert client.scrape(torrent(1)) == [(answer.seeders, 1, answer.leechers)]
    assert api(tracker, f"/api/v1/key/{key}", "DELETE") == {"status": "ok"}
    events = tracker.events_until(lambda found: any(one["type"] == "key_revoked" for one in found))
    assert [one["seq"] for one in events] == list(range(len(events)))
    assert starts_and_stops(events) == ["tracker_started", "tracker_started"]


def test_many_kills(tracker: Tracker) -> None:
    """Each run adds to the same log; no acknowledged write is lost."""
    keys = []
    for life in range(2):
        # The answer to an admin write promises that it is on disk, so nothing else waits here.
        keys.append(api(tracker, f"/api/v1/key/{1000 + life}", "POST"))
        tracker.kill()
        tracker.restart()
    events = tracker.events_until(lambda found: starts_and_stops(found) == ["tracker_started"] * 3)
    issued = [one for one in events if one["type"] == "key_issued"]
    assert [one["valid_until_us"] // 1_000_000 for one in issued] == [
        key["valid_until"] for key in keys
    ]
    assert [one["epoch"] for one in events if one["type"] == "tracker_started"] == [1, 2, 3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(tracker: Tracker, number: signal.Signals) -> None:
    """A stop exits with 0, ends the log with an event, and loses nothing."""
    with udp_client(tracker.udp[0]) as client:
        for peer in range(10):
            client.announce(torrent(peer % 2), peer, 6000 + peer, left=peer % 3)
        client.scrape(torrent(0))
        before = answers_of(tracker, torrent(0), torrent(1))
        # The stop itself makes these events durable, so nothing waits here.
        assert tracker.stop(number) == 0
        events = tracker.events()
        assert events[-1]["type"] == "tracker_stopped"
        assert [one["type"] for one in events].count("announced") == 10
        tracker.restart()
        assert answers_of(tracker, torrent(0), torrent(1)) == before
        assert client.announce(torrent(0), 0, 6000).seeders == before[2]["seeders"]
    assert tracker.stop(number) == 0
    assert starts_and_stops(tracker.events()) == ["tracker_started", "tracker_stopped"] * 2


def test_stop_does_not_wait_for_idle_clients(tracker: Tracker) -> None:
    """Idle connections to any port do not delay the stop."""
    held = [
        socket.create_connection(address)
        for address in (tracker.http[0], tracker.api, tracker.health)
        for _ in "123"
    ]
    for sock in held[::2]:
        sock.sendall(b"GET /announce?info_hash=")
    assert tracker.stop() == 0
    for sock in held:
        sock.close()
