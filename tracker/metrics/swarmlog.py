"""`ports.Gauges` over the running process: what Prometheus is told.

Metrics of our own begin with `swarmlog_`; `reference_metrics` has the others. Each is documented in docs/api.md.
"""

from __future__ import annotations

import os
import time
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tracker.domain import events, refusals
from tracker.frontends.traffic import HttpTraffic, UdpTraffic
from tracker.metrics import torrust
from tracker.metrics.loop_watch import Watch
from tracker.metrics.torrust import HttpListener, UdpListener, binding
from tracker.ports import Metric, Sample, UdpStats

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator

    from eventlog import LogStatistics
    from tracker.service.rate_limits import Bans
    from tracker.service.service import Service

_PATHS = (("http", "ipv4"), ("http", "ipv6"), ("udp", "ipv4"), ("udp", "ipv6"))
_STATM = Path("/proc/self/statm")


class Log(Protocol):
    def statistics(self) -> LogStatistics: ...

    def has_room(self, *, reserved: bool = False) -> bool: ...


class Following(Protocol):
    alarm: str

    def lag(self, durable_seq: int) -> int | None: ...


class Ages(Protocol):
    leap_us: int


class Pruner(Protocol):
    @property
    def ages(self) -> Ages: ...

    def days_left(self, free_bytes: int, a_day: float) -> float: ...


class LiveGauges:
    """Listeners are added as they start. `watch.run` is to run beside them."""

    def __init__(
        self,
        service: Service,
        log: Log,
        version: str,
        bans: Bans,
        *,
        usage_statistics: bool = True,
        following: Following | None = None,
        pruner: Pruner | None = None,
    ) -> None:
        """`usage_statistics`: false keeps requests out of it."""
        self._following = following
        self._pruner = pruner
        self._service = service
        self._log = log
        self._version = version
        self._bans = bans
        self._usage_statistics = usage_statistics
        self._began = time.monotonic()
        self._udp: list[UdpListener] = []
        self._http: list[HttpListener] = []
        self.watch = Watch(lambda: log.statistics().written_bytes)

    def add_udp(self, sock: socket.socket) -> UdpTraffic:
        host, port = sock.getsockname()[:2]
        traffic = UdpTraffic()
        self._udp.append(UdpListener(binding("udp", host, port), traffic))
        return traffic

    def add_http(self, sock: socket.socket, *, tls: bool) -> HttpTraffic:
        host, port = sock.getsockname()[:2]
        traffic = HttpTraffic()
        self._http.append(HttpListener(binding("https" if tls else "http", host, port), traffic))
        return traffic

    def udp(self) -> UdpStats:
        shown = self._shown_udp()
        v4 = [one.traffic for one in shown if not one.v6]
        v6 = [one.traffic for one in shown if one.v6]
        requests = sum(one.requests for one in v4 + v6)
        average = sum(one.busy_ns for one in v4 + v6) // requests if requests else 0
        return UdpStats(
            udp_requests_aborted=sum(one.unsent for one in v4 + v6),
            udp_requests_banned=sum(one.banned for one in v4 + v6),
            udp_banned_ips_total=self._banned(),
            udp_avg_connect_processing_time_ns=average,
            udp_avg_announce_processing_time_ns=average,
            udp_avg_scrape_processing_time_ns=average,
            udp4_requests=sum(one.requests for one in v4),
            udp4_responses=sum(one.responses for one in v4),
            udp4_errors_handled=sum(one.errors for one in v4),
            udp6_requests=sum(one.requests for one in v6),
            udp6_responses=sum(one.responses for one in v6),
            udp6_errors_handled=sum(one.errors for one in v6),
        )

    def metrics(self) -> list[Metric]:
        shown = self._http if self._usage_statistics else []
        return [
            torrust.of_http(shown),
            *torrust.of_udp(self._shown_udp(), self._banned()),
            *torrust.of_swarms(self._service.swarms),
            *self._process(),
            *self._of_log(),
            *self._of_state(),
            *self._of_requests(),
        ]

    def _shown_udp(self) -> tuple[UdpListener, ...]:
        return tuple(self._udp) if self._usage_statistics else ()

    def _banned(self) -> int:
        return self._bans.total(self._service.now_us())

    def _process(self) -> Iterator[Metric]:
        version = Sample(1, (("version", self._version),))
        yield Metric("swarmlog_info", "gauge", "The version that runs.", (version,))
        uptime = time.monotonic() - self._began
        yield _gauge("swarmlog_uptime_seconds", "Since the start.", uptime)
        yield _gauge("swarmlog_memory_bytes", "Resident memory of the process.", memory_bytes())
        lag = "The longest that the loop was late within the last minute."
        yield _gauge("swarmlog_loop_lag_seconds", lag, self.watch.loop_lag)

    def _of_log(self) -> Iterator[Metric]:
        log = self._log.statistics()
        room = int(self._log.has_room())  # in JSON a truth value is no number
        lag = log.next_seq - log.durable_seq
        for name, what, value in (
            ("durable_lag_events", "Events that are not on stable storage yet.", lag),
            ("pending_bytes", "The same in bytes.", log.pending_bytes),
            ("last_commit_seconds", "What the latest commit took.", log.last_commit_seconds),
            ("segment_bytes", "Size of the newest file of the log.", log.segment_bytes),
            ("disk_free_bytes", "Free where the log is.", log.disk_free_bytes),
            ("log_has_room", "1 while announces are taken, 0 while refused.", room),
        ):
            yield _gauge(f"swarmlog_{name}", what, value)
        left = "Until the disk is full, by the log's growth in the last day, unless retention comes first."
        yield Metric("swarmlog_disk_days_left", "gauge", left, self._days_left(log.disk_free_bytes))
        leap = self._pruner.ages.leap_us / 1e6 if self._pruner else 0.0
        what = "By how much the clock leapt within the last day; what is old by that alone is not removed yet."
        yield _gauge("swarmlog_clock_leap_seconds", what, leap)
        yield from self._of_follower(log.durable_seq)
        for name, what, value in (
            ("events_appended", "Events in the log.", log.next_seq),
            ("commits", "Commits since the start.", log.commits),
            ("rewrites", "Commits that failed and were written again.", log.rewrites),
            ("written_bytes", "Written to the log since the start.", log.written_bytes),
        ):
            yield Metric(f"swarmlog_{name}_total", "counter", what, (Sample(value),))

    def _days_left(self, free_bytes: int) -> tuple[Sample, ...]:
        a_day = self.watch.bytes_a_day
        if a_day is None:
            return ()
        days = self._pruner.days_left(free_bytes, a_day) if self._pruner else free_bytes / a_day
        return (Sample(days),) if isfinite(days) else ()

    def _of_follower(self, durable_seq: int) -> Iterator[Metric]:
        following = self._following
        lag = following.lag(durable_seq) if following else None
        what = "Durable events that the follower has not applied; none while no follower runs."
        samples = () if lag is None else (Sample(lag),)
        yield Metric("swarmlog_follower_lag_events", "gauge", what, samples)
        what = "1 once the follower found that the log and its replay disagree."
        alarm = int(following is not None and bool(following.alarm))
        yield _gauge("swarmlog_follower_alarm", what, alarm)

    def _of_state(self) -> Iterator[Metric]:
        state = self._service.state
        swarms = state.swarms
        roles = (("leecher", swarms.leechers_total), ("seeder", swarms.seeders_total))
        families = (("ipv4", swarms.v4.total), ("ipv6", swarms.v6.total))
        yield _gauge(
            "swarmlog_torrents", "Torrents that have peers, or had.", swarms.torrents_total
        )
        yield _gauge(
            "swarmlog_torrents_remembered", "Only their completed counts.", len(swarms.retired)
        )
        yield _labelled("swarmlog_peers", "gauge", "Peers by role.", "role", roles)
        endpoints = "Addresses of peers; one may have two."
        yield _labelled("swarmlog_peer_addresses", "gauge", endpoints, "family", families)
        listed = "Whitelisted torrents."
        yield _gauge("swarmlog_whitelisted_torrents", listed, len(state.access.whitelist))
        keys = "Tracker keys that are not revoked."
        yield _gauge("swarmlog_keys", keys, len(state.access.keys))
        backlog = "Torrents that the sweep for silent peers is still to look at."
        yield _gauge("swarmlog_sweep_backlog_torrents", backlog, state.sweep.left)

    def _of_requests(self) -> Iterator[Metric]:
        """Kept in the log, so that they go on after a restart."""
        announces = zip(_PATHS, self._service.swarms.announces, strict=True)
        samples = tuple(
            Sample(count, (("family", family), ("protocol", protocol)))
            for (protocol, family), count in announces
        )
        what = "Announces in the log."
        shown = samples if self._usage_statistics else ()
        yield Metric("swarmlog_announces_total", "counter", what, shown)
        refused = [
            (refusals.name_of(label), count)
            for label, count in self._counted(events.REFUSED_REQUESTS)
        ]
        what = "Requests refused."
        yield _labelled("swarmlog_requests_refused_total", "counter", what, "reason", refused)
        dropped = [
            ("banned" if label == events.DROPPED_BANNED else "malformed", count)
            for label, count in self._counted(events.UDP_DROPPED)
        ]
        what = "Datagrams that got no answer."
        yield _labelled("swarmlog_udp_dropped_total", "counter", what, "reason", dropped)

    def _counted(self, counter: int) -> list[tuple[int, int]]:
        """Labels and counts, those included that the log does not have yet."""
        logged, pending = self._service.state.counters, self._service.pending
        keys = {key for table in (logged, pending) for key in table if key[0] == counter}
        return [(key[1], logged.get(key, 0) + pending.get(key, 0)) for key in sorted(keys)]


def _gauge(name: str, what: str, value: float) -> Metric:
    return Metric(name, "gauge", what, (Sample(value),))


def _labelled(
    name: str, kind: str, what: str, label: str, values: Iterable[tuple[str, int]]
) -> Metric:
    return Metric(name, kind, what, tuple(Sample(value, ((label, key),)) for key, value in values))


def memory_bytes() -> int:
    """Resident memory of this process; 0 where there is no /proc."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
