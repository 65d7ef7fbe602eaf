"""Tests that the metrics of a running tracker have the true numbers after all kinds of traffic."""

from __future__ import annotations

from http.client import HTTPConnection
from signal import SIGCONT, SIGSTOP
from socket import AF_INET, SOCK_DGRAM, create_connection, socket
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.clients import (
    UdpClient,
    announce,
    announce_datagram,
    api,
    body,
    get,
    torrent,
    udp_client,
)
from tests.e2e.process import DEADLINE, Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

WRONG_IDS = 11  # wrong connection ids that are answered before an address is banned
AT = "server_binding_"


def exposed(tracker: Tracker) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Returns labels and values by name, as the format's own parser reads them."""
    connection = HTTPConnection(*tracker.api, timeout=DEADLINE)
    try:
        connection.request(
            "GET",
            "/api/v1/metrics?format=prometheus",
            headers={"Authorization": "Bearer MyAccessToken"},
        )
        response = connection.getresponse()
        assert response.status == 200
        text = response.read().decode()
    finally:
        connection.close()
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        # The parser drops `_total` from the name of a counter.
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = [(sample.labels, sample.value) for sample in family.samples]
    return found


def total(found: list[tuple[dict[str, str], float]], **labels: str) -> float:
    """Returns the sum of the samples that have these labels."""
    return sum(value for having, value in found if labels.items() <= having.items())


def test_traffic_is_counted(new_tracker: Callable[..., Tracker]) -> None:
    """Requests, errors, bans, wrong ids, peers and events agree in both formats and the stats."""
    tracker = new_tracker(Listeners(udp=("127.0.0.1:0", "127.0.0.1:0"))).start()
    with udp_client(tracker.udp[0]) as client:
        client.announce(torrent(1), 1, 7001)
        client.announce(torrent(1), 2, 7002, left=5)
        client.scrape(torrent(1))
        # A banned address is still served with a valid connection id.
        wrong = UdpClient(tracker.udp[0])
        for _ in range(WRONG_IDS):
            wrong.exchange(announce_datagram(b"\1" * 8, torrent(1), 3, 7003))
        wrong.send(announce_datagram(b"\1" * 8, torrent(1), 3, 7003))
        wrong.send(b"short")
        wrong.close()
        client.announce(torrent(1), 1, 7001)
    announce(tracker.http[0], torrent(2), 4, 7004)
    body(get(tracker.http[0], "/announce"))
    api(
        tracker, f"/api/v1/whitelist/{torrent(1).hex()}", "POST"
    )  # returns once the event is committed
    found = exposed(tracker)
    ports = [str(address[1]) for address in tracker.udp]
    udp = "udp_tracker_server_"
    connects = total(found[udp + "requests_accepted_total"], request_kind="connect")
    assert connects >= 1  # more when a datagram was lost
    assert total(found[udp + "requests_received_total"]) == connects + 4 + WRONG_IDS + 2
    assert total(found[udp + "requests_received_total"], server_binding_port=ports[1]) == 0
    accepted = found[udp + "requests_accepted_total"]
    assert total(accepted, request_kind="announce", server_binding_port=ports[0]) == 3
    assert total(accepted, request_kind="scrape", server_binding_address_ip_family="inet") == 1
    assert total(found[udp + "errors_total"]) == WRONG_IDS
    assert total(found[udp + "requests_banned_total"]) == 1
    assert found[udp + "ips_banned_total"] == [({}, 1)]
    assert total(found[udp + "responses_sent_total"], result="ok") == connects + 4
    assert total(found[udp + "responses_sent_total"], result="error") == WRONG_IDS
    assert total(found[udp + "connection_id_errors_total"]) == WRONG_IDS
    times = found[udp + "performance_avg_processing_time_ns"]
    assert total(times, request_kind="announce", server_binding_port=ports[0]) > 0
    http = found["http_tracker_core_requests_received_total"]
    assert total(http, request_kind="announce", server_binding_protocol="http") == 2
    assert found["swarm_coordination_registry_torrents_total"] == [({}, 2)]
    assert total(found["swarmlog_peers"], role="seeder") == 2
    assert total(found["swarmlog_peers"], role="leecher") == 1
    assert total(found["swarmlog_announces_total"], protocol="udp", family="ipv4") == 3
    assert total(found["swarmlog_requests_refused_total"], reason="malformed") == WRONG_IDS + 1
    malformed = found["swarmlog_malformed_requests_total"]
    assert total(malformed, protocol="udp", problem="connection_id") == WRONG_IDS
    assert total(malformed, protocol="http", problem="query") == 1
    assert total(malformed) == WRONG_IDS + 1
    assert total(found["swarmlog_udp_dropped_total"], reason="banned") == 1
    assert total(found["swarmlog_udp_dropped_total"], reason="malformed") == 1
    assert total(found["swarmlog_disk_free_bytes"]) > 0
    assert total(found["swarmlog_commits_total"]) > 0
    assert total(found["swarmlog_log_has_room"]) == 1
    as_json = {one["name"]: one for one in api(tracker, "/api/v1/metrics")["metrics"]}
    assert set(as_json) == set(found)
    assert as_json["swarm_coordination_registry_torrents_total"]["samples"][0]["value"] == 2
    lines = body(get(tracker.api, "/api/v1/stats?format=prometheus&token=MyAccessToken")).decode()
    stats = {line.split()[0]: int(line.split()[1]) for line in lines.splitlines()}
    assert stats["udp4_errors_handled"] == WRONG_IDS
    assert stats["udp_banned_ips_total"] == stats["udp_requests_banned"] == 1
    assert stats["udp4_requests"] == stats["udp4_responses"] + 2
    assert stats["udp_avg_announce_processing_time_ns"] > 0


def test_counters_after_a_restart(new_tracker: Callable[..., Tracker]) -> None:
    """Counters from the log continue; those of the process begin at zero."""
    tracker = new_tracker().start()
    with udp_client(tracker.udp[0]) as client:
        client.announce(torrent(1), 1, 7001)
    before = exposed(tracker)
    assert tracker.stop() == 0
    tracker.start()
    after = exposed(tracker)
    name = "swarmlog_announces_total"
    assert total(before[name]) == total(after[name]) == 1
    assert total(after["udp_tracker_server_requests_received_total"]) == 0
    name = "swarmlog_events_appended_total"
    assert total(after[name]) > total(before[name])


def test_malformed_requests_by_problem(new_tracker: Callable[..., Tracker]) -> None:
    """Each malformed request counts once, under what was wrong with it."""
    tracker = new_tracker(extra="[policy]\nmax_connection_id_errors = 0").start()
    good = {"info_hash": "%01" * 20, "peer_id": "x" * 20, "port": "1"}
    sent: dict[tuple[str, str], int] = {}
    for problem, query in [
        ("query", ""),
        ("query", "a=b=c"),
        *(
            (name, "&".join(f"{each}={value}" for each, value in ({**good, name: bad}).items()))
            for name in good
            for bad in ("0", "%zz", "x" * 21)
        ),
        *((name, "&".join(f"{n}={v}" for n, v in good.items() if n != name)) for name in good),
        ("info_hash", "info_hash=1&info_hash=2"),
    ]:
        assert b"failure reason" in body(get(tracker.http[0], f"/announce?{query}")), query
        sent["http", problem] = sent.get(("http", problem), 0) + 1
    assert b"failure reason" in body(get(tracker.http[0], "/scrape?info_hash=1"))
    sent["http", "info_hash"] += 1
    short = "/scrape/short?info_hash=" + good["info_hash"]
    assert b"failure reason" in body(get(tracker.http[0], short))
    sent["http", "key"] = 1
    with create_connection(tracker.http[0], DEADLINE) as client:
        client.sendall(b"no request of HTTP\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    sent["http", "framing"] = 1
    with udp_client(tracker.udp[0]) as client:
        valid = client.connection_id
        for problem, datagram in {
            "connection_id": announce_datagram(bytes(8), torrent(1), 1, 1),
            "constant": bytes(48),
            "event": announce_datagram(valid, torrent(1), 1, 1, event=9),
            "port": announce_datagram(valid, torrent(1), 1, 0),
            "info_hash": valid + bytes([0, 0, 0, 2]) + bytes(4),
        }.items():
            assert client.exchange(datagram)[:4] == b"\0\0\0\3"
            sent["udp", problem] = 1
    found = exposed(tracker)["swarmlog_malformed_requests_total"]
    assert {(one["protocol"], one["problem"]): count for one, count in found} == sent


def test_datagrams_that_the_kernel_drops_are_counted(tracker: Tracker) -> None:
    """What comes while the receive buffer is full is counted; everything else is received."""
    (_, size), *_ = exposed(tracker)["swarmlog_udp_receive_buffer_bytes"]
    datagram = bytes(60_000)
    sent = int(size) // len(datagram) + 100
    tracker.send(SIGSTOP)
    with socket(AF_INET, SOCK_DGRAM) as client:
        client.connect(tracker.udp[0])
        for _ in range(sent):
            client.send(datagram)
    tracker.send(SIGCONT)
    received, deadline = 0.0, monotonic() + DEADLINE
    while True:
        found = exposed(tracker)
        received = total(found["udp_tracker_server_requests_received_total"])
        dropped = total(found["swarmlog_udp_kernel_dropped_total"])
        assert received + dropped <= sent
        if received + dropped == sent:
            break
        assert monotonic() < deadline
    assert received > 0
    assert dropped >= 100
