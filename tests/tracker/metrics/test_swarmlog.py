"""Metrics: the traffic counters, the watch on the process, and every gauge under its name."""

from __future__ import annotations

from errno import ENOPROTOOPT
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import asdict, define
from cryptography import x509

from eventlog.log import LogStatistics
from tests.e2e.certificates import make
from tests.support import Announce, Rig, endpoint4, endpoint6, hash_of
from tracker.domain import events
from tracker.domain.events.admin import TorrentDelisted, TorrentWhitelisted
from tracker.frontends.tls import Certificate
from tracker.frontends.traffic import MOST_CLIENTS, UdpTraffic
from tracker.metrics.gauges import LiveGauges
from tracker.metrics.loop_watch import Watch
from tracker.metrics.swarmlog import memory_bytes
from tracker.metrics.torrust import binding
from tracker.service.rate_limits import MOST, Bans
from tracker.upkeep.follower import FollowerSupervisor
from tracker.upkeep.retention import Pruner

if TYPE_CHECKING:
    from tracker.ports import Labels

LOG = LogStatistics(
    next_seq=120,
    durable_seq=100,
    pending_bytes=2240,
    commits=7,
    last_commit_seconds=0.25,
    segment_bytes=4096,
    written_bytes=10_000,
    rewrites=1,
    disk_free_bytes=5_000_000,
)


NO_BANS = Bans(0, 1)


@define
class FixedLog:
    room: bool = True

    def statistics(self) -> LogStatistics:
        return LOG

    def has_room(self, *, reserved: bool = False) -> bool:  # noqa: ARG002  # the protocol names it
        return self.room


@define
class FakeSocket:
    """A socket with an address, and with buffers of a system that tells nothing of them."""

    host: str

    def getsockname(self) -> tuple[str, int]:
        return self.host, 6969

    def getsockopt(self, _level: int, _name: int, _size: int) -> bytes:
        raise OSError(ENOPROTOOPT, "Protocol not available")


def gauges_of(rig: Rig, log: FixedLog | None = None, *, usage: bool = True) -> LiveGauges:
    """The gauges of a tracker with a UDP listener of each family and an HTTP listener."""
    gauges = LiveGauges(rig.service, log or FixedLog(), "1.2", NO_BANS, usage_statistics=usage)
    gauges.add_udp(FakeSocket("127.0.0.1"))
    gauges.add_udp(FakeSocket("::1"))
    gauges.add_http(FakeSocket("127.0.0.1"), tls=True)
    return gauges


def metric_names() -> set[str]:
    gauges = gauges_of(Rig())
    return {metric.name for metric in gauges.metrics()} | set(asdict(gauges.udp()))


def values(gauges: LiveGauges) -> dict[tuple[str, Labels], float]:
    """The values by name and labels. Listener labels are cut to those that distinguish them."""
    kept = ("request_kind", "result", "server_binding_address_ip_family", "peer_role")
    return {
        (
            metric.name,
            tuple(
                pair
                for pair in sample.labels
                if pair[0] in kept or not pair[0].startswith("server_")
            ),
        ): sample.value
        for metric in gauges.metrics()
        for sample in metric.samples
    }


def test_names_and_kinds() -> None:
    """Names are unique, counters end in `_total`, and labels are sorted."""
    metrics = gauges_of(Rig()).metrics()
    names = [metric.name for metric in metrics]
    assert len(names) == len(set(names))
    for metric in metrics:
        assert metric.kind in ("counter", "gauge")
        assert metric.kind == "gauge" or metric.name.endswith("_total")
        assert len({sample.labels for sample in metric.samples}) == len(metric.samples)
        for sample in metric.samples:
            assert list(sample.labels) == sorted(sample.labels)


def test_log_gauges_show_the_statistics_of_the_log() -> None:
    """The gauges show the log's statistics, and the number of events that are not yet durable."""
    found = values(gauges_of(Rig(), FixedLog(room=False)))
    expected = {
        "swarmlog_durable_lag_events": 20,
        "swarmlog_pending_bytes": 2240,
        "swarmlog_last_commit_seconds": 0.25,
        "swarmlog_segment_bytes": 4096,
        "swarmlog_disk_free_bytes": 5_000_000,
        "swarmlog_log_has_room": 0,
        "swarmlog_events_appended_total": 120,
        "swarmlog_commits_total": 7,
        "swarmlog_rewrites_total": 1,
        "swarmlog_written_bytes_total": 10_000,
    }
    assert {name: found[name, ()] for name in expected} == expected
    assert ("swarmlog_disk_days_left", ()) not in found


def test_state_gauges_count_torrents_peers_announces_and_refusals() -> None:
    rig = Rig.with_settings(listed=True)
    for number in (1, 2):
        rig.service.append(TorrentWhitelisted(hash_of(number)))
    rig.announce(Announce(hash_of(1), endpoint4(1), left=0))
    rig.announce(Announce(hash_of(1), endpoint6(2), udp=False))
    rig.announce(Announce(hash_of(2), endpoint4(3)))
    rig.announce(Announce(hash_of(2), endpoint4(3), event=events.STOPPED))
    rig.service.refused(-2)
    rig.service.flush_counters()
    rig.service.refused(-2)
    rig.service.count(events.REFUSED_REQUESTS)
    rig.service.count(events.UDP_DROPPED, events.DROPPED_BANNED)
    found = values(gauges_of(rig))
    assert found["swarmlog_torrents", ()] == 2
    assert found["swarmlog_whitelisted_torrents", ()] == 2
    for (name, labels), value in {
        ("swarmlog_peers", (("role", "seeder"),)): 1,
        ("swarmlog_peers", (("role", "leecher"),)): 1,
        ("swarmlog_peer_addresses", (("family", "ipv4"),)): 1,
        ("swarmlog_peer_addresses", (("family", "ipv6"),)): 1,
        ("swarmlog_announces_total", (("family", "ipv4"), ("protocol", "udp"))): 3,
        ("swarmlog_announces_total", (("family", "ipv6"), ("protocol", "http"))): 1,
        ("swarmlog_requests_refused_total", (("reason", "not_whitelisted"),)): 2,
        ("swarmlog_requests_refused_total", (("reason", "malformed"),)): 1,
        ("swarmlog_udp_dropped_total", (("reason", "banned"),)): 1,
        ("swarm_coordination_registry_torrents_total", ()): 2,
        ("swarm_coordination_registry_torrents_added_total", ()): 2,
        ("swarm_coordination_registry_peer_connections_total", (("peer_role", "seeder"),)): 1,
    }.items():
        assert found[name, labels] == value, (name, labels)


def test_a_delisted_torrent_counts_as_removed() -> None:
    """A delisted torrent counts as removed, and its addresses leave the gauge."""
    rig = Rig.with_settings(listed=True)
    rig.service.append(TorrentWhitelisted(hash_of(1)))
    rig.announce(Announce(hash_of(1), endpoint4(1)))
    rig.service.append(TorrentDelisted(hash_of(1)))
    found = values(gauges_of(rig))
    prefix = "swarm_coordination_registry_torrents_"
    assert [found[prefix + name, ()] for name in ("total", "added_total", "removed_total")] == [
        0,
        1,
        1,
    ]
    assert found["swarmlog_peer_addresses", (("family", "ipv4"),)] == 0


def test_udp_traffic_adds_up() -> None:
    """Announces are the requests without the other kinds. Responses are the requests without the
    dropped ones."""
    traffic = UdpTraffic()
    traffic.batch(100, 2, 5_000)
    traffic.batch(20, 0, 1_000)
    traffic.connects, traffic.scrapes, traffic.errors = 30, 20, 7
    traffic.ignored, traffic.banned = 3, 4
    assert (traffic.announces, traffic.responses, traffic.average_ns) == (56, 111, 50)
    assert UdpTraffic().average_ns == 0


def test_statistics_add_up_listeners_by_family() -> None:
    """Statistics add up the listeners of a family, and show one average time for all kinds."""
    gauges = gauges_of(Rig())
    one, other = (listener.traffic for listener in gauges._udp)
    one.batch(10, 1, 1_000)
    other.batch(30, 0, 7_000)
    one.errors, other.banned = 2, 5
    stats = gauges.udp()
    assert (stats.udp4_requests, stats.udp4_responses, stats.udp4_errors_handled) == (10, 9, 2)
    assert (stats.udp6_requests, stats.udp6_responses, stats.udp6_errors_handled) == (30, 25, 0)
    assert (stats.udp_requests_aborted, stats.udp_requests_banned) == (1, 5)
    assert stats.udp_avg_announce_processing_time_ns == 200


def test_without_usage_statistics() -> None:
    """Without usage statistics the request metrics are empty, and the gauges of swarms and log
    remain."""
    gauges = gauges_of(Rig(), usage=False)
    gauges._udp[0].traffic.batch(10, 0, 1_000)
    assert gauges.udp().udp4_requests == 0
    silent = {metric.name for metric in gauges.metrics() if not metric.samples}
    assert {"swarmlog_announces_total", "http_tracker_core_requests_received_total"} <= silent
    assert "swarmlog_torrents" not in silent


@pytest.mark.parametrize(
    ("protocol", "host", "family", "kind"),
    [
        ("udp", "192.0.2.7", "inet", "plain"),
        ("https", "::", "inet6", "plain"),
        ("http", "::ffff:192.0.2.1", "inet6", "v4_mapped_v6"),
    ],
)
def test_binding_labels_describe_a_listener(
    protocol: str, host: str, family: str, kind: str
) -> None:
    prefix = "server_binding_"
    assert binding(protocol, host, 6969) == (
        (prefix + "address_ip_family", family),
        (prefix + "address_ip_type", kind),
        (prefix + "ip", host),
        (prefix + "port", "6969"),
        (prefix + "protocol", protocol),
    )


def test_wrong_ids_by_client() -> None:
    """Wrong ids count by client name and version. Unknown clients, and all beyond the limit, count
    as one."""
    traffic = UdpTraffic()
    for peer_id in (b"-qB4520-" + bytes(12), b"-qB4520-" + bytes(12), b"\xff" * 20):
        traffic.wrong_id(peer_id)
    assert traffic.wrong_ids == {("qBittorrent", "4520"): 2, ("Other", ""): 1}
    for number in range(MOST_CLIENTS + 10):
        traffic.wrong_id(b"-qB%04d-" % number + bytes(12))
    assert len(traffic.wrong_ids) == MOST_CLIENTS
    assert traffic.wrong_ids["Other", ""] == 13


def test_banned_addresses_are_counted() -> None:
    """Addresses above the error limit count as banned until the period ends. A limit of zero bans
    no address."""
    bans = Bans(2, 60)
    for address, errors in ((b"\x7f\0\0\1", 3), (b"\x7f\0\0\2", 2), (bytes(16), 5)):
        for _ in range(errors):
            bans.add_error(address, 1_000_000)
    assert bans.total(2_000_000) == 2
    assert bans.total(61_000_000) == 0
    assert Bans(0, 60).total(1) == 0
    assert MOST <= 1 << 16  # counting the banned ones reads all of them


def test_loop_lag() -> None:
    """The loop lag is the longest delay of the last minute."""
    watch = Watch(lambda: 0)
    assert watch.loop_lag == 0
    watch.look(1.0, 3.5)
    for second in range(4, 63):
        watch.look(second, second + 0.125)
    assert watch.loop_lag == 2.5
    watch.look(63, 63)
    assert watch.loop_lag == 0.125


def test_growth_follows_the_last_day() -> None:
    """The growth of the last day gives the bytes a day. The first minute gives no value."""
    written = [0]
    watch = Watch(lambda: written[0])
    watch.look(0, 0)
    assert watch.bytes_a_day is None
    watch.look(60, 60)
    assert watch.bytes_a_day is None
    for minute in range(2, 2000):
        written[0] = minute * 1_000_000
        watch.look(minute * 60, minute * 60)
    assert watch.bytes_a_day == pytest.approx(1_440_000_000)


@pytest.mark.parametrize(("keep_days", "expected"), [(None, 0.5), (30, 0.5), (1, None)])
def test_disk_days_left(keep_days: int | None, expected: float | None) -> None:
    """The metric is absent when retention removes data before the disk is full."""
    rig = Rig()
    pruner = None
    if keep_days is not None:
        log: Any = SimpleNamespace(path=Path(), statistics=FixedLog().statistics)
        pruner = Pruner(rig.service, log, keep_days, 10**12, Path(), log_bytes=9_000_000)
    gauges = LiveGauges(rig.service, FixedLog(), "1.2", NO_BANS, pruner=pruner)
    gauges.watch._written.extend([(0, 0), (86_400, 10_000_000)])
    assert values(gauges).get(("swarmlog_disk_days_left", ())) == expected


def test_the_log_size_and_what_was_removed_by_each_rule() -> None:
    rig, log = Rig(), FixedLog()
    at: Any = SimpleNamespace(path=Path(), statistics=log.statistics)
    pruner = Pruner(rig.service, at, 30, 10**12, Path(), log_bytes=5000)
    pruner.removed_bytes["keep_bytes"] = 700
    found = values(LiveGauges(rig.service, log, "1.2", NO_BANS, pruner=pruner))
    assert found["swarmlog_log_bytes", ()] == 5000 + log.statistics().written_bytes
    removed = "swarmlog_log_removed_bytes_total"
    assert found[removed, (("rule", "keep_days"),)] == 0
    assert found[removed, (("rule", "keep_bytes"),)] == 700


def test_the_rules_of_retention_and_shredding() -> None:
    """The rules of retention are absent where nothing is removed."""
    rig = Rig()
    log: Any = SimpleNamespace(path=Path(), statistics=FixedLog().statistics)
    rig.service.shred_days = 7
    found = values(LiveGauges(rig.service, FixedLog(), "1.2", NO_BANS))
    assert found["swarmlog_shred_days", ()] == 7
    assert ("swarmlog_keep_days", ()) not in found
    pruner = Pruner(rig.service, log, 30, 10**12, Path())
    found = values(LiveGauges(rig.service, FixedLog(), "1.2", NO_BANS, pruner=pruner))
    assert found["swarmlog_keep_days", ()] == 30
    assert found["swarmlog_keep_bytes", ()] == 10**12


def test_when_a_certificate_expires(tmp_path: Path) -> None:
    """It is that of the file that was read last."""
    pair = make("site")
    pair.write(tmp_path)
    path = str(tmp_path / "site.crt")
    certificate = Certificate(path, str(tmp_path / "site.key"))
    rig = Rig()
    gauges = LiveGauges(rig.service, FixedLog(), "1.2", NO_BANS, certificates=(certificate,))
    name = ("swarmlog_certificate_expires_seconds", (("certificate", path),))
    expires = x509.load_pem_x509_certificate(pair.cert).not_valid_after_utc.timestamp()
    assert values(gauges)[name] == expires


def test_the_clock_leap_is_shown_in_seconds() -> None:
    rig = Rig()
    log: Any = SimpleNamespace(path=Path(), statistics=FixedLog().statistics)
    pruner = Pruner(rig.service, log, 30, 10**12, Path())
    for leap_us, expected in ((0, 0), (90_000_500_000, 90_000.5)):
        pruner.clock.leap_us = leap_us
        gauges = LiveGauges(rig.service, FixedLog(), "1.2", NO_BANS, pruner=pruner)
        assert values(gauges)["swarmlog_clock_leap_seconds", ()] == expected


def test_the_lag_is_absent_until_a_follower_runs() -> None:
    """A follower that runs shows its lag and its alarm."""
    rig, follower = Rig(), FollowerSupervisor(Path(), Path())
    gauges = LiveGauges(rig.service, FixedLog(), "1.2", NO_BANS, follower=follower)
    assert ("swarmlog_follower_lag_events", ()) not in values(gauges)
    assert ("swarmlog_snapshot_event", ()) not in values(gauges)
    follower.snapshot_seq = 70
    assert values(gauges)["swarmlog_snapshot_event", ()] == 70
    follower.seq, follower.alarm = 70, "event 7"
    found = values(gauges)
    assert found["swarmlog_follower_lag_events", ()] == 30
    assert found["swarmlog_follower_alarm", ()] == 1


async def test_the_watch_asks_for_the_log_size_once_a_minute(autojump_clock: object) -> None:
    """The watch measures the loop each second, and asks for the log size once a minute."""
    del autojump_clock
    calls: list[int] = []

    def written() -> int:
        calls.append(0)
        return 0

    watch = Watch(written)
    with trio.move_on_after(130):
        await watch.run()
    assert len(calls) == 3  # at 1 s, 61 s and 121 s


def test_memory_of_this_process_is_plausible() -> None:
    assert 5_000_000 < memory_bytes() < 100_000_000_000
