"""The metrics of our own; their names begin with `swarmlog_`. docs/api.md lists each of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.domain import events, refusals
from tracker.frontends.udp import kernel_buffers
from tracker.ports import Metric, Sample

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping

    from eventlog import LogStatistics
    from tracker.domain.state import State
    from tracker.frontends.tls import Certificate
    from tracker.metrics.torrust import UdpListener
    from tracker.places import Places
    from tracker.service.service import Service
    from tracker.store.noting import NotedLog
    from tracker.upkeep.follower import FollowerSupervisor
    from tracker.upkeep.replaying import Replaying
    from tracker.upkeep.rereading import Rereading
    from tracker.upkeep.retention import Pruner

_PATHS = (("http", "ipv4"), ("http", "ipv6"), ("udp", "ipv4"), ("udp", "ipv6"))
_STATM = Path("/proc/self/statm")


def of_process(version: str, uptime_seconds: float, loop_lag_seconds: float) -> Iterator[Metric]:
    running = Sample(1, (("version", version),))
    yield Metric("swarmlog_info", "gauge", "The version that runs.", (running,))
    yield _gauge("swarmlog_uptime_seconds", "Since the start.", uptime_seconds)
    yield _gauge("swarmlog_memory_bytes", "Resident memory of the process.", memory_bytes())
    lag = "The longest stall of the event loop within the last minute."
    yield _gauge("swarmlog_loop_lag_seconds", lag, loop_lag_seconds)


def of_connections(places: Mapping[str, Places]) -> Iterator[Metric]:
    """`places`: by server."""
    opened = [(server, each.opened) for server, each in places.items()]
    what = "Open connections that have a place."
    yield _labelled("swarmlog_connections", "gauge", what, "server", opened)
    ended = [(server, each.given_way) for server, each in places.items()]
    what = "Waiting connections ended for a newcomer."
    yield _labelled("swarmlog_connections_given_way_total", "counter", what, "server", ended)
    refused = [(server, each.refused) for server, each in places.items()]
    what = "Newcomers closed at once because no connection waited."
    yield _labelled("swarmlog_connections_refused_total", "counter", what, "server", refused)


def of_udp_sockets(
    listeners: Iterable[tuple[UdpListener, tuple[socket.socket, ...]]],
) -> Iterator[Metric]:
    """Tells by listener what the kernel does before the tracker sees a datagram."""
    told = [
        (one.labels, found)
        for one, sockets in listeners
        if (found := kernel_buffers.received(*sockets)) is not None
    ]
    buffers = tuple(Sample(each.buffer_bytes, labels) for labels, each in told)
    what = "The kernel's receive buffer of a UDP tracker."
    yield Metric("swarmlog_udp_receive_buffer_bytes", "gauge", what, buffers)
    dropped = tuple(Sample(each.dropped, labels) for labels, each in told)
    what = "Datagrams that the kernel dropped because that buffer was full, since the start."
    yield Metric("swarmlog_udp_kernel_dropped_total", "counter", what, dropped)


def of_certificates(certificates: Iterable[Certificate]) -> Iterator[Metric]:
    """Tells of each certificate that listeners serve when it expires."""
    told = [(str(one), one.expires_seconds()) for one in certificates]
    samples = tuple(
        Sample(seconds, (("certificate", path),)) for path, seconds in told if seconds is not None
    )
    what = "When a certificate that is served expires, in Unix seconds."
    yield Metric("swarmlog_certificate_expires_seconds", "gauge", what, samples)


def of_shredding(shred_days: int) -> Iterator[Metric]:
    what = "Days after which addresses become unreadable; 0 = never."
    yield _gauge("swarmlog_shred_days", what, shred_days)


def of_log_gauges(log: LogStatistics, *, has_room: bool) -> Iterator[Metric]:
    room = int(has_room)  # JSON would not show a truth value as a number
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


def of_log_counters(log: LogStatistics) -> Iterator[Metric]:
    for name, what, count in (
        ("events_appended", "Events in the log.", log.next_seq),
        ("commits", "Commits since the start.", log.commits),
        ("rewrites", "Commits that failed and were written again.", log.rewrites),
        ("written_bytes", "Written to the log since the start.", log.written_bytes),
    ):
        yield Metric(f"swarmlog_{name}_total", "counter", what, (Sample(count),))


def of_retention(pruner: Pruner | None, days: float | None) -> Iterator[Metric]:
    """`days`: until the disk is full; None = not known yet, or never."""
    what = (
        "Until the disk is full, by the log's growth in the last day, unless retention comes first."
    )
    samples = () if days is None else (Sample(days),)
    yield Metric("swarmlog_disk_days_left", "gauge", what, samples)
    what = "Of the log's files of events."
    yield _gauge("swarmlog_log_bytes", what, pruner.size() if pruner else 0)
    what = "Removed from the log since the start, by the rule that asked for it."
    removed = pruner.removed_bytes.items() if pruner else ()
    yield _labelled("swarmlog_log_removed_bytes_total", "counter", what, "rule", removed)
    what = "Days after which announces are removed."
    samples = (Sample(pruner.keep_days),) if pruner else ()
    yield Metric("swarmlog_keep_days", "gauge", what, samples)
    what = "Bytes that the log may take."
    samples = (Sample(pruner.keep_bytes),) if pruner else ()
    yield Metric("swarmlog_keep_bytes", "gauge", what, samples)
    leap = pruner.clock.leap_us / 1e6 if pruner else 0.0
    what = "By how much the clock leapt within the last day; what is old by that alone is not removed yet."
    yield _gauge("swarmlog_clock_leap_seconds", what, leap)


def of_follower(follower: FollowerSupervisor | None, durable_seq: int) -> Iterator[Metric]:
    lag = follower.lag(durable_seq) if follower else None
    what = "Durable events that the follower has not applied; none while no follower runs."
    samples = () if lag is None else (Sample(lag),)
    yield Metric("swarmlog_follower_lag_events", "gauge", what, samples)
    what = "The event up to which the latest snapshot since the start goes."
    seq = follower.snapshot_seq if follower else None
    yield Metric("swarmlog_snapshot_event", "gauge", what, () if seq is None else (Sample(seq),))
    what = "1 once the follower found that the log and its replay disagree."
    alarm = int(follower is not None and bool(follower.alarm))
    yield _gauge("swarmlog_follower_alarm", what, alarm)


def of_rereading(rereading: Rereading | None) -> Iterator[Metric]:
    what = "Finished segments that are not as they were when they were sealed."
    damaged = len(rereading.damaged) if rereading else 0
    yield _gauge("swarmlog_log_damaged_segments", what, damaged)
    what = "Finished segments that were read again and compared with their seals."
    samples = (Sample(rereading.segments if rereading else 0),)
    yield Metric("swarmlog_log_segments_reread_total", "counter", what, samples)


def of_replaying(replaying: Replaying | None) -> Iterator[Metric]:
    what = "1 if the latest replay of the whole log found damage or came to another state."
    yield _gauge(
        "swarmlog_replay_alarm", what, int(replaying is not None and bool(replaying.alarm))
    )
    what = "Replays of the whole log that came to their end."
    samples = (Sample(replaying.passes if replaying else 0),)
    yield Metric("swarmlog_replays_total", "counter", what, samples)


def of_note(noted: NotedLog | None) -> Iterator[Metric]:
    what = (
        "1 while the note among the secrets cannot be written, so that no change is acknowledged."
    )
    yield _gauge("swarmlog_note_failing", what, int(noted is not None and bool(noted.trouble)))


def of_state(state: State) -> Iterator[Metric]:
    swarms = state.swarms
    torrents = "Torrents that have peers, or had."
    yield _gauge("swarmlog_torrents", torrents, swarms.torrents_total)
    remembered = "Only their completed counts."
    yield _gauge("swarmlog_torrents_remembered", remembered, len(swarms.retired))
    roles = (("leecher", swarms.leechers_total), ("seeder", swarms.seeders_total))
    yield _labelled("swarmlog_peers", "gauge", "Peers by role.", "role", roles)
    families = (("ipv4", swarms.v4.total), ("ipv6", swarms.v6.total))
    endpoints = "Addresses of peers; one may have two."
    yield _labelled("swarmlog_peer_addresses", "gauge", endpoints, "family", families)
    listed = "Whitelisted torrents."
    yield _gauge("swarmlog_whitelisted_torrents", listed, len(state.access.whitelist))
    clients = "Clients with a number."
    yield _gauge("swarmlog_clients", clients, len(state.clients.pairs))
    keys = "Tracker keys that are not revoked."
    yield _gauge("swarmlog_keys", keys, len(state.access.keys))
    backlog = "Torrents that the sweep for silent peers is still to look at."
    yield _gauge("swarmlog_sweep_backlog_torrents", backlog, state.sweep.left)


def of_requests(service: Service, *, usage_statistics: bool) -> Iterator[Metric]:
    """Counters that the log holds, so that they go on after a restart."""
    announces = zip(_PATHS, service.swarms.announces, strict=True)
    samples = tuple(
        Sample(count, (("family", family), ("protocol", protocol)))
        for (protocol, family), count in announces
    )
    name, what = "swarmlog_announces_total", "Announces in the log."
    yield Metric(name, "counter", what, samples if usage_statistics else ())
    refused = [
        (refusals.name_of(label), count)
        for label, count in _counted(service, events.REFUSED_REQUESTS)
    ]
    name = "swarmlog_requests_refused_total"
    yield _labelled(name, "counter", "Requests refused.", "reason", refused)
    malformed = tuple(
        Sample(count, (("problem", problem), ("protocol", protocol)))
        for (protocol, problem), count in sorted(service.malformed.items())
    )
    name, what = "swarmlog_malformed_requests_total", "Malformed requests since the start."
    yield Metric(name, "counter", what, malformed)
    dropped = [
        (refusals.dropped_name(label), count)
        for label, count in _counted(service, events.UDP_DROPPED)
    ]
    name = "swarmlog_udp_dropped_total"
    yield _labelled(name, "counter", "Datagrams that got no answer.", "reason", dropped)


def _counted(service: Service, counter: int) -> list[tuple[int, int]]:
    """Returns labels and counts of a counter, with those the log does not hold yet."""
    logged, pending = service.state.tally.counters, service.pending
    keys = {key for table in (logged, pending) for key in table if key[0] == counter}
    return [(key[1], logged.get(key, 0) + pending.get(key, 0)) for key in sorted(keys)]


def _gauge(name: str, what: str, value: float) -> Metric:
    return Metric(name, "gauge", what, (Sample(value),))


def _labelled(
    name: str, kind: str, what: str, label: str, values: Iterable[tuple[str, int]]
) -> Metric:
    return Metric(name, kind, what, tuple(Sample(value, ((label, key),)) for key, value in values))


def memory_bytes() -> int:
    """Returns the resident memory of this process; 0 where there is no /proc."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
