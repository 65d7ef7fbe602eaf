"""The labelled metrics that dashboards for Torrust's tracker use (contract, section 1.6).

Names and labels are Torrust's; `server_binding_*` name the listener. Counters begin at 0 with the
process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from tracker.ports import Labels, Metric, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.domain.swarms import Swarms
    from tracker.frontends.traffic import HttpTraffic, UdpTraffic


@frozen
class UdpListener:
    labels: Labels
    traffic: UdpTraffic

    @property
    def v6(self) -> bool:
        return (_FAMILY, "inet6") in self.labels


@frozen
class HttpListener:
    labels: Labels
    traffic: HttpTraffic


_FAMILY = "server_binding_address_ip_family"


def binding(protocol: str, host: str, port: int) -> Labels:
    """Returns the labels of a listener. `protocol`: "udp", "http" or "https"."""
    return (
        (_FAMILY, "unix" if host.startswith("unix:") else "inet6" if ":" in host else "inet"),
        ("server_binding_address_ip_type", "v4_mapped_v6" if host.startswith("::ffff:") else "plain"),
        ("server_binding_ip", host),
        ("server_binding_port", str(port)),
        ("server_binding_protocol", protocol),
    )  # fmt: skip


def of_http(listeners: Iterable[HttpListener]) -> Metric:
    """Counts announces and scrapes, refused ones too."""
    samples = [
        _of_kind(one.labels, kind, value)
        for one in listeners
        for kind, value in (
            ("announce", one.traffic.announces),
            ("scrape", one.traffic.scrapes),
        )
    ]
    name = "http_tracker_core_requests_received_total"
    return Metric(name, "counter", "Requests to HTTP trackers.", tuple(samples))


def of_udp(listeners: tuple[UdpListener, ...], banned: int) -> Iterator[Metric]:
    """`banned`: number of addresses that are banned now."""
    kinds = tuple(sample for one in listeners for sample in _by_kind(one))
    core = "udp_tracker_core_requests_received_total"
    yield Metric(core, "counter", "UDP requests that were served.", kinds)
    prefix = "udp_tracker_server_"
    for name, what, counter in (
        ("requests_received_total", "Datagrams received.", "requests"),
        ("requests_aborted_total", "UDP answers that the system did not take.", "unsent"),
        ("requests_banned_total", "Datagrams of banned addresses.", "banned"),
        ("errors_total", "UDP requests that were answered with an error.", "errors"),
    ):
        samples = [Sample(getattr(one.traffic, counter), one.labels) for one in listeners]
        yield Metric(prefix + name, "counter", what, tuple(samples))
    served = "UDP requests that were served."
    yield Metric(prefix + "requests_accepted_total", "counter", served, kinds)
    sent = tuple(sample for one in listeners for sample in _sent(one))
    yield Metric(prefix + "responses_sent_total", "counter", "UDP answers sent.", sent)
    addresses = "Addresses that are banned now."
    yield Metric(prefix + "ips_banned_total", "gauge", addresses, (Sample(banned),))
    average = "Nanoseconds an average UDP request took since the start."
    times = tuple(sample for one in listeners for sample in _times(one))
    yield Metric(prefix + "performance_avg_processing_time_ns", "gauge", average, times)
    wrong = "Announces with a wrong connection id, by the client's peer id."
    clients = tuple(_wrong_ids(listeners))
    yield Metric(prefix + "connection_id_errors_total", "counter", wrong, clients)


def of_swarms(swarms: Swarms) -> Iterator[Metric]:
    prefix = "swarm_coordination_registry_"
    for name, kind, what, value in (
        ("torrents_total", "gauge", "Torrents.", swarms.torrents_total),
        ("torrents_added_total", "counter", "Torrents that came.", swarms.torrents_added),
        ("torrents_removed_total", "counter", "Torrents that went.", swarms.torrents_removed),
        ("torrents_downloads_total", "counter", "Downloads completed.", swarms.completed_total),
    ):
        yield Metric(prefix + name, kind, what, (Sample(value),))
    roles = (("leecher", swarms.leechers_total), ("seeder", swarms.seeders_total))
    peers = tuple(Sample(count, (("peer_role", role),)) for role, count in roles)
    yield Metric(prefix + "peer_connections_total", "gauge", "Peers in all swarms.", peers)
    core = "tracker_core_persistent_torrents_downloads_total"
    yield Metric(core, "counter", "Downloads completed, ever.", (Sample(swarms.completed_total),))


def _by_kind(one: UdpListener) -> Iterator[Sample]:
    traffic = one.traffic
    yield _of_kind(one.labels, "announce", traffic.announces)
    yield _of_kind(one.labels, "connect", traffic.connects)
    yield _of_kind(one.labels, "scrape", traffic.scrapes)


def _sent(one: UdpListener) -> Iterator[Sample]:
    """Counts answers by result.

    Answers that the system did not take have no known result. They are few, and are left out of the
    good ones.
    """
    errors, responses = one.traffic.errors, one.traffic.responses
    yield Sample(max(0, responses - errors), (("result", "ok"), *one.labels))
    yield Sample(min(errors, responses), (("result", "error"), *one.labels))


def _times(one: UdpListener) -> Iterator[Sample]:
    for kind in ("announce", "connect", "scrape"):
        yield _of_kind(one.labels, kind, one.traffic.average_ns)


def _wrong_ids(listeners: tuple[UdpListener, ...]) -> Iterator[Sample]:
    counts: dict[tuple[str, str], int] = {}
    for one in listeners:
        for client, count in one.traffic.wrong_ids.items():
            counts[client] = counts.get(client, 0) + count
    for (name, version), count in sorted(counts.items()):
        labels = ("client_software_name", name), ("client_software_version", version)
        yield Sample(count, labels)


def _of_kind(labels: Labels, kind: str, value: int) -> Sample:
    return Sample(value, (("request_kind", kind), *labels))
