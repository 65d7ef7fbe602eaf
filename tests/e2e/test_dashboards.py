"""Checks that a running tracker has every series that dashboards for Torrust's tracker query.

One dashboard reads `/api/v1/stats`, the others `/api/v1/metrics`; both must show the same numbers.
The tables hold their names, labels and functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import (
    COMPLETED,
    announce,
    announce_datagram,
    body,
    get,
    torrent,
    udp_client,
)
from tests.e2e.process import Listeners, Tracker
from tests.e2e.test_metrics import exposed, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.clients import UdpClient

SWARMS = "swarm_coordination_registry_"
UDP = "udp_tracker_server_"
HTTP = "http_tracker_core_requests_received_total"
CONNECT, ANNOUNCE, SCRAPE = ({"request_kind": kind} for kind in ("connect", "announce", "scrape"))

NUMBERS: dict[str, tuple[str, dict[str, str], int]] = {
    "completed": ("tracker_core_persistent_torrents_downloads_total", {}, 1),
    "torrents": (SWARMS + "torrents_total", {}, 1),
    "seeders": (SWARMS + "peer_connections_total", {"peer_role": "seeder"}, 2),
    "leechers": (SWARMS + "peer_connections_total", {"peer_role": "leecher"}, 1),
    "udp_banned_ips_total": (UDP + "ips_banned_total", {}, 0),
}
"""Gauges by name in the stats: name and labels in the metrics, and the value after `traffic`."""

RATES: dict[str, tuple[str, dict[str, str], int]] = {
    "udp4_connections_handled": (UDP + "requests_accepted_total", CONNECT, 1),
    "udp4_announces_handled": (UDP + "requests_accepted_total", ANNOUNCE, 3),
    "udp4_scrapes_handled": (UDP + "requests_accepted_total", SCRAPE, 1),
    "udp4_errors_handled": (UDP + "errors_total", {}, 1),
    "udp4_requests": (UDP + "requests_received_total", {}, 6),
    "udp4_responses": (UDP + "responses_sent_total", {}, 6),
    "udp_requests_banned": (UDP + "requests_banned_total", {}, 0),
    "udp_requests_aborted": (UDP + "requests_aborted_total", {}, 0),
}
"""Counters, likewise. Dashboards show the sum of their rates: all, of a family, of a port."""

TIMES = {
    f"udp_avg_{labels['request_kind']}_processing_time_ns": labels
    for labels in (CONNECT, ANNOUNCE, SCRAPE)
}
TIME = UDP + "performance_avg_processing_time_ns"
LISTENER = ("server_binding_address_ip_family", "server_binding_port")


def traffic(tracker: Tracker) -> None:
    """Makes the traffic of `NUMBERS` and `RATES`, and one announce and one scrape over HTTP."""
    with udp_client(tracker.udp[0]) as client:
        client.announce(torrent(1), 1, 7001, left=5)
        client.announce(torrent(1), 1, 7001, event=COMPLETED)
        client.announce(torrent(1), 2, 7002, left=5)
        client.scrape(torrent(1))
        _wrong(client)
    announce(tracker.http[0], torrent(1), 3, 7003)
    body(get(tracker.http[0], f"/scrape?info_hash={'%01' * 20}"))


def _wrong(client: UdpClient) -> None:
    reply = client.exchange(announce_datagram(b"\1" * 8, torrent(1), 4, 7004))
    assert reply[:4] == b"\0\0\0\3"


def queries(udp_port: int, http_port: int) -> Iterator[str]:
    """Yields each query of the dashboards in PromQL."""
    for name, (metric, labels, _) in NUMBERS.items():
        yield from (name, f'{name}{{job="tracker_stats"}}', _select(metric, labels))
    for name, (metric, labels, _) in RATES.items():
        yield from (f"rate({name}[15m])", f'rate({name}{{job="tracker_stats"}}[15m])')
        for at in _listeners(udp_port):
            yield f"sum(rate({_select(metric, {**labels, **at})}[15m]))"
    for name, labels in TIMES.items():
        yield from (name, f'{name}{{job="tracker_stats"}}')
        for at in _listeners(udp_port):
            yield f"avg({_select(TIME, {**labels, **at})})"
    yield f"sum(rate({_select(HTTP, {})}[15m]))"
    for labels in (ANNOUNCE, SCRAPE):
        yield f"sum(rate({_select(HTTP, {**labels, LISTENER[1]: str(http_port)})}[15m]))"


def _listeners(port: int) -> tuple[dict[str, str], ...]:
    return {}, {LISTENER[0]: "inet"}, {LISTENER[1]: str(port)}


def _select(metric: str, labels: dict[str, str]) -> str:
    chosen = {"job": "tracker_metrics", **labels}
    return metric + "{" + ", ".join(f'{key}="{value}"' for key, value in chosen.items()) + "}"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A tracker on both families after `traffic` over IPv4."""
    listeners = Listeners(udp=("127.0.0.1:0", "[::1]:0"))
    tracker = Tracker(tmp_path_factory.mktemp("busy"), listeners)
    try:
        traffic(tracker.start())
        yield tracker
    finally:
        tracker.close()


@pytest.fixture(scope="module")
def stats(busy: Tracker) -> dict[str, int]:
    """The stats by name, read as those configurations of Prometheus do: the token in the query."""
    answer = get(busy.api, "/api/v1/stats?format=prometheus&token=MyAccessToken")
    assert b"content-type: text/plain; charset=utf-8\r\n" in answer
    lines = (line.split(" ") for line in body(answer).decode().split("\n"))
    return {name: int(value) for name, value in lines}


@pytest.mark.parametrize("name", [*NUMBERS, *RATES])
def test_number(busy: Tracker, stats: dict[str, int], name: str) -> None:
    """Stats and metrics show the same true number, the metrics by family and by port too."""
    metric, labels, value = (NUMBERS | RATES)[name]
    found = exposed(busy)[metric]
    assert any(labels.items() <= having.items() for having, _ in found)
    # because a client sends a lost connect again
    again = stats["udp4_connections_handled"] - 1 if name in _WITH_CONNECTS else 0
    assert stats[name] == total(found, **labels) == value + again
    for at in _listeners(busy.udp[0][1]) if name in RATES else ():
        assert any((labels | at).items() <= having.items() for having, _ in found), at
        assert total(found, **labels, **at) == stats[name], at


_WITH_CONNECTS = ("udp4_connections_handled", "udp4_requests", "udp4_responses")


@pytest.mark.parametrize("name", TIMES)
def test_time(busy: Tracker, stats: dict[str, int], name: str) -> None:
    """Each kind and listener has one mean time, in nanoseconds."""
    found = exposed(busy)[TIME]
    for at in _listeners(busy.udp[0][1])[1:]:
        (value,) = (
            value for having, value in found if (TIMES[name] | at).items() <= having.items()
        )
        assert value == stats[name] > 0


def test_http(busy: Tracker) -> None:
    """HTTP requests are counted by kind and port, in the metrics only."""
    found, port = exposed(busy)[HTTP], str(busy.http[0][1])
    assert [total(found, **kind, server_binding_port=port) for kind in (ANNOUNCE, SCRAPE)] == [1, 1]


def test_listeners(busy: Tracker) -> None:
    """Every listener has its samples with all its labels."""
    for name in (*(metric for metric, _, _ in RATES.values()), TIME):
        for host, port in busy.udp:
            family = "inet6" if ":" in host else "inet"
            labels = {
                "server_binding_address_ip_family": family,
                "server_binding_address_ip_type": "plain",
                "server_binding_ip": host,
                "server_binding_port": str(port),
                "server_binding_protocol": "udp",
            }
            assert any(labels.items() <= having.items() for having, _ in exposed(busy)[name]), name
