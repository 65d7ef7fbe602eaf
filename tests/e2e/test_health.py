"""The health check API of a running tracker: what it asks, and what it says of what it finds."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.certificates import make
from tests.e2e.clients import api, body, get
from tests.e2e.process import Listeners, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Address, Tracker

HOSTS = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104  # wildcards are what is tested


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
    """Loopback and wildcard, IPv4 and IPv6: each is reached, and reported as it is bound."""
    hosts = tuple(shown((host, 0)) for host in HOSTS)
    tracker = new_tracker(Listeners(udp=hosts, http=hosts, health="[::1]:0")).start()
    assert tracker.health[0] == "::1"
    assert tuple(host for host, _ in tracker.udp) == HOSTS
    details = [*map(udp_item, tracker.udp), *map(http_item, tracker.http), api_item(tracker.api)]
    assert health(tracker) == {"status": "Ok", "message": "", "details": details}


def test_both_families_on_one_port(new_tracker: Callable[..., Tracker]) -> None:
    """Two sockets side by side are two services."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tracker = new_tracker(Listeners(http=(f"0.0.0.0:{port}", f"[::]:{port}"))).start()
    assert health(tracker)["details"][1:3] == [*map(http_item, tracker.http)]


def test_under_tls(new_tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """TLS listeners are asked under TLS, whatever their certificate says."""
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
    """Without a single service the health check is served all the same."""
    tracker = new_tracker(Listeners(udp=(), http=()))
    text = tracker.config.read_text()
    before, _, after = text.partition("[http_api]\n")
    tracker.config.write_text(before + after[after.index("[health_check_api]") :])
    tracker.start()
    assert health(tracker) == {"status": "None", "message": "", "details": []}
    assert tracker.stop() == 0


def test_root(tracker: Tracker) -> None:
    """An empty object."""
    assert body(get(tracker.health, "/")) == b"{}"


def test_checks_leave_no_announce(tracker: Tracker) -> None:
    """A check is seen as one UDP connect and nothing else."""
    for _ in range(3):
        assert health(tracker)["status"] == "Ok"
    stats = api(tracker, "/api/v1/stats")
    assert {name: count for name, count in stats.items() if count} == {
        "udp4_connections_handled": 3
    }


def test_behind_a_proxy(new_tracker: Callable[..., Tracker]) -> None:
    """A tracker that wants X-Forwarded-For wants none of its health check."""
    tracker = new_tracker(extra="[core.net]\non_reverse_proxy = true").start()
    assert health(tracker)["status"] == "Ok"


def test_port_in_use(new_tracker: Callable[..., Tracker]) -> None:
    """A port that is taken stops the start, as with the other listeners."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = shown(taken.getsockname())
        tracker = new_tracker(Listeners(health=address))
        done = run("--config", str(tracker.config), folder=tracker.folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"tracker: cannot listen on {address} for the health check: ")
    assert tracker.events() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(tracker: Tracker, number: signal.Signals) -> None:
    """A connection to the health check that is open does not hold up the stop."""
    with socket.create_connection(tracker.health):
        assert tracker.stop(number) == 0
