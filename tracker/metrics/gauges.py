"""Implements `ports.Gauges` over the running process: all metrics, and the UDP counters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from tracker.frontends.traffic import HttpTraffic, UdpTraffic
from tracker.metrics import swarmlog, torrust
from tracker.metrics.disk_days import DiskDays
from tracker.metrics.loop_watch import Watch
from tracker.metrics.torrust import HttpListener, UdpListener, binding
from tracker.ports import UdpStats

if TYPE_CHECKING:
    import socket

    from eventlog import LogStatistics
    from tracker.frontends.tls import Certificate
    from tracker.places import Places
    from tracker.ports import Metric
    from tracker.service.rate_limits import Bans
    from tracker.service.service import Service
    from tracker.store.noting import NotedLog
    from tracker.upkeep.follower import FollowerSupervisor
    from tracker.upkeep.replaying import Replaying
    from tracker.upkeep.rereading import Rereading
    from tracker.upkeep.retention import Pruner


class Log(Protocol):
    def statistics(self) -> LogStatistics: ...

    def has_room(self, *, reserved: bool = False) -> bool: ...


class LiveGauges:
    """The gauges of a tracker that runs.

    Listeners are added as they start; `watch.run` has to run beside them, and
    `disk.run` warns of a disk that fills up.
    """

    def __init__(
        self,
        service: Service,
        log: Log,
        version: str,
        bans: Bans,
        *,
        usage_statistics: bool = True,
        follower: FollowerSupervisor | None = None,
        pruner: Pruner | None = None,
        rereading: Rereading | None = None,
        replaying: Replaying | None = None,
        noted: NotedLog | None = None,
        certificates: tuple[Certificate, ...] = (),
    ) -> None:
        """`usage_statistics`: false leaves out what counts requests."""
        self._service = service
        self._log = log
        self._version = version
        self._bans = bans
        self._usage_statistics = usage_statistics
        self._follower = follower
        self._pruner = pruner
        self._rereading = rereading
        self._replaying = replaying
        self._noted = noted
        self._certificates = certificates
        self._began = time.monotonic()
        self._udp: list[UdpListener] = []
        self._udp_sockets: list[tuple[socket.socket, ...]] = []
        self._http: list[HttpListener] = []
        self._places: dict[str, Places] = {}
        self.watch = Watch(lambda: log.statistics().written_bytes)
        self.disk = DiskDays(log, self.watch, pruner)

    def add_udp(self, sock: socket.socket, *others: socket.socket) -> UdpTraffic:
        """Returns the counters that a UDP tracker on these sockets has to keep."""
        host, port = sock.getsockname()[:2]
        traffic = UdpTraffic()
        self._udp.append(UdpListener(binding("udp", host, port), traffic))
        self._udp_sockets.append((sock, *others))
        return traffic

    def add_http(self, sock: socket.socket, *, tls: bool) -> HttpTraffic:
        """Returns the counters that an HTTP tracker on this socket has to keep."""
        name = sock.getsockname()
        host, port = (f"unix:{name}", 0) if isinstance(name, str) else name[:2]
        traffic = HttpTraffic()
        self._http.append(HttpListener(binding("https" if tls else "http", host, port), traffic))
        return traffic

    def add_places(self, server: str, places: Places) -> None:
        """Shows the open connections of a server."""
        self._places[server] = places

    def udp(self) -> UdpStats:
        """Sums the UDP listeners by address family."""
        counted = self._counted_udp()
        v4 = [one.traffic for one in counted if not one.v6]
        v6 = [one.traffic for one in counted if one.v6]
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
        """Returns every metric as of now, those of Torrust's tracker first."""
        service, statistics = self._service, self._log.statistics()
        uptime = time.monotonic() - self._began
        return [
            torrust.of_http(self._http if self._usage_statistics else []),
            *torrust.of_udp(self._counted_udp(), self._banned()),
            *torrust.of_swarms(service.swarms),
            *swarmlog.of_process(self._version, uptime, self.watch.loop_lag),
            *swarmlog.of_connections(self._places),
            *swarmlog.of_udp_sockets(zip(self._udp, self._udp_sockets, strict=True)),
            *swarmlog.of_log_gauges(statistics, has_room=self._log.has_room()),
            *swarmlog.of_retention(self._pruner, self.disk.left()),
            *swarmlog.of_shredding(service.shred_days),
            *swarmlog.of_certificates(self._certificates),
            *swarmlog.of_follower(self._follower, statistics.durable_seq),
            *swarmlog.of_rereading(self._rereading),
            *swarmlog.of_replaying(self._replaying),
            *swarmlog.of_note(self._noted),
            *swarmlog.of_log_counters(statistics),
            *swarmlog.of_state(service.state),
            *swarmlog.of_requests(service, usage_statistics=self._usage_statistics),
        ]

    def _counted_udp(self) -> tuple[UdpListener, ...]:
        return tuple(self._udp) if self._usage_statistics else ()

    def _banned(self) -> int:
        return self._bans.total(self._service.now_us())
