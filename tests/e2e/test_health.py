"""Tests the health check API of a running tracker: the services it checks, and its report."""

from __future__ import annotations

import json
from contextlib import suppress
from resource import RLIMIT_FSIZE, prlimit
from socket import create_connection
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.certificates import make
from tests.e2e.clients import (
    announce_datagram,
    announce_target,
    api,
    body,
    get,
    torrent,
    udp_client,
)
from tests.e2e.process import Listeners, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Address, Tracker

LOG_FAILED = 3  # the exit code
HOSTS = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104  # the test is about wildcards


def health(tracker: Tracker) -> dict[str, Any]:
    response = get(tracker.health, "/health_check")
    head = response.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 200")
    assert b"content-type: application/json" in head
    found: dict[str, Any] = json.loads(body(response))
    assert list(found) == ["status", "message", "details"]
    return found


def shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def udp_item(address: Address) -> dict[str, Any]:
    where = shown(address)
    info = f"checking the udp tracker health check at: {where}"
    return {"binding": where, "info": info, "result": {"Ok": "Connected"}}


def http_item(address: Address, scheme: str = "http") -> dict[str, Any]:
    where = shown(address)
    info = f"checking http tracker health check at: {scheme}://{where}/health_check"
    return {"binding": where, "info": info, "result": {"Ok": "200 OK"}}


def api_item(address: Address, scheme: str = "http") -> dict[str, Any]:
    where = shown(address)
    info = f"checking api health check at: {scheme}://{where}/api/health_check"
    return {"binding": where, "info": info, "result": {"Ok": "200 OK"}}


def test_every_kind_of_address(new_tracker: Callable[..., Tracker]) -> None:
    """Loopback and wildcard, IPv4 and IPv6: each service is reached and reported as bound."""
    hosts = tuple(shown((host, 0)) for host in HOSTS)
    tracker = new_tracker(Listeners(udp=hosts, http=hosts, health="[::1]:0")).start()
    assert tracker.health[0] == "::1"
    assert tuple(host for host, _ in tracker.udp) == HOSTS
    details = [*map(udp_item, tracker.udp), *map(http_item, tracker.http), api_item(tracker.api)]
    assert health(tracker) == {"status": "Ok", "message": "", "details": details}


def test_both_families_on_one_port(new_tracker: Callable[..., Tracker]) -> None:
    """Two sockets on one port are two services."""
    (port,) = free_ports(1)
    tracker = new_tracker(Listeners(http=(f"0.0.0.0:{port}", f"[::]:{port}"))).start()
    assert health(tracker)["details"][1:3] == [*map(http_item, tracker.http)]


def test_under_tls(new_tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """The health check uses TLS for TLS listeners, and accepts any name in the certificate."""
    files = make("somebody else").write(tmp_path)
    tracker = new_tracker()
    text = tracker.config.read_text()
    for table in ("[[http_trackers]]\n", "[http_api]\n"):
        text = text.replace(table, f"{table}tsl_config = {files}\n")
    tracker.config.write_text(text)
    tracker.start()
    found = health(tracker)
    assert found["status"] == "Ok"
    assert found["details"] == [
        udp_item(tracker.udp[0]),
        http_item(tracker.http[0], "https"),
        api_item(tracker.api, "https"),
    ]


def test_nothing_served(new_tracker: Callable[..., Tracker]) -> None:
    """Without any service the health check still answers, with status `None`."""
    tracker = new_tracker(Listeners(udp=(), http=()))
    text = tracker.config.read_text()
    before, _, after = text.partition("[http_api]\n")
    tracker.config.write_text(before + after[after.index("[health_check_api]") :])
    tracker.start()
    assert health(tracker) == {"status": "None", "message": "", "details": []}
    assert tracker.stop() == 0


def test_checks_leave_no_announce(tracker: Tracker) -> None:
    """A check counts as one UDP connect and nothing else. The root path is an empty object."""
    for _ in range(3):
        assert health(tracker)["status"] == "Ok"
    assert body(get(tracker.health, "/")) == b"{}"
    stats = api(tracker, "/api/v1/stats")
    counted = {name: count for name, count in stats.items() if count and "_time_" not in name}
    connects = ("udp4_connections_handled", "udp4_requests", "udp4_responses")
    assert counted == dict.fromkeys(connects, 3)


def test_limits_of_clients(new_tracker: Callable[..., Tracker]) -> None:
    """A ban and the limits of clients at the same address do not hold a check up."""
    extra = "[policy]\nrequests_per_minute = 1\nhttp_connections_per_address = 1"
    both = ("127.0.0.1:0", "[::1]:0")
    tracker = new_tracker(Listeners(udp=both, http=both), extra).start()
    for udp, http in zip(tracker.udp, tracker.http, strict=True):
        with udp_client(udp) as banned, create_connection(http):
            for number in range(12):
                banned.send(announce_datagram(bytes(8), torrent(1), number, 2001))
            assert b"failure reason" not in get(http, announce_target(torrent(1), 1, 2001))
            assert b"too many requests" in get(http, announce_target(torrent(1), 1, 2001))
            assert health(tracker)["status"] == "Ok"
            # The check was answered after the client, whose other datagrams got nothing.
            assert [reply[:4] for reply in banned.arrived()] == [bytes(3) + b"\x03"]


def test_behind_a_proxy(new_tracker: Callable[..., Tracker]) -> None:
    """A tracker behind a proxy is healthy without X-Forwarded-For."""
    tracker = new_tracker(extra="[core.net]\non_reverse_proxy = true").start()
    assert health(tracker)["status"] == "Ok"


@pytest.mark.parametrize("durability", ["group", "strict"])
def test_a_log_that_fails(new_tracker: Callable[..., Tracker], durability: str) -> None:
    """A log that cannot be written, as on a disk that turned read-only, ends the tracker at once.
    Nobody finds it healthy.
    """
    tracker = new_tracker()
    text = tracker.config.read_text()
    tracker.config.write_text(
        text.replace("[event_log]", f'[event_log]\ndurability = "{durability}"')
    )
    tracker.start()
    assert health(tracker)["status"] == "Ok"
    prlimit(tracker.pid, RLIMIT_FSIZE, (1, 1))  # each further write fails, for another reason
    with suppress(OSError, AssertionError):
        get(tracker.http[0], announce_target(torrent(1), 1, 6001))
    assert tracker.wait() == LOG_FAILED
    with pytest.raises(ConnectionRefusedError):
        health(tracker)
