"""Serves metrics, for Prometheus or as JSON (contract, sections 1.5 and 1.6)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Metric as Family
from quart import request

from api.endpoint import Endpoint, Parameter
from api.errors import bad_request, invalid_query
from api.openapi import shapes
from api.params import single
from api.replies import JSON, TEXT, text
from api.streams import json_object, shaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.replies import Response
    from tracker.ports import Gauges, Metric, Stats, UdpStats

AS_JSON: Final = "json"
AS_PROMETHEUS: Final = "prometheus"
FORMAT: Final = Parameter(name="format", schema={"enum": [AS_JSON, AS_PROMETHEUS]})


def wanted_format() -> str:
    """Reads `format` of the query: `prometheus`, or `json`, which is also the default.

    Raises `Refusal` for another format.
    """
    wanted = single(request.args, "format") or AS_JSON
    if wanted not in {AS_JSON, AS_PROMETHEUS}:
        raise invalid_query(f"unknown variant `{wanted}`, expected `json` or `prometheus`")
    return wanted


@frozen
class Metrics:
    gauges: Gauges

    def endpoints(self) -> list[Endpoint]:
        described = {200: {JSON: shapes.METRICS, TEXT: shapes.STRING}}
        return [
            Endpoint("GET", "/metrics", self.metrics, "All metrics.", described, query=(FORMAT,))
        ]

    async def metrics(self) -> Response:
        if "at" in request.args:
            raise bad_request("at: metrics are told as of now; stats have a past")
        metrics = self.gauges.metrics()
        if wanted_format() == AS_JSON:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            return await json_object({"metrics": await shaped(metrics, partial(_as_json, now=now))})
        return text(exposition(metrics))


def _as_json(metric: Metric, now: str) -> dict[str, Any]:
    samples = [
        {
            "value": sample.value,
            "recorded_at": now,
            "labels": [{"name": name, "value": value} for name, value in sample.labels],
        }
        for sample in metric.samples
    ]
    return {"kind": metric.kind, "name": metric.name, "help": metric.help, "samples": samples}


def exposition(metrics: list[Metric]) -> str:
    """Renders metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(metrics))
    return generate_latest(registry).decode()


@frozen(eq=False)  # a registry keeps its collectors by identity
class _Collected:
    metrics: list[Metric]

    def collect(self) -> Iterator[Family]:
        for metric in self.metrics:
            # The package adds `_total` to a counter's name, so the name must not have it.
            plain = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
            family = Family(plain, metric.help, metric.kind)
            for sample in metric.samples:
                family.add_sample(metric.name, dict(sample.labels), sample.value)
            yield family


def all_counters(stats: Stats, udp: UdpStats | None) -> dict[str, int]:
    """Returns the counters by name, in the order of the reference's development line.

    Without `udp` they are those of release 3.0.0.
    """
    counters: dict[str, int] = asdict(stats)
    if udp is None:
        return counters
    first = [name for name in counters if not name.startswith("udp")]
    counters |= asdict(udp)
    return {name: counters[name] for name in (*first, *_UDP_NAMES)}


_UDP_NAMES: Final = (
    "udp_requests_aborted",
    "udp_requests_banned",
    "udp_banned_ips_total",
    "udp_avg_connect_processing_time_ns",
    "udp_avg_announce_processing_time_ns",
    "udp_avg_scrape_processing_time_ns",
    *(
        f"{family}_{name}"
        for family in ("udp4", "udp6")
        for name in (
            "requests",
            "connections_handled",
            "announces_handled",
            "scrapes_handled",
            "responses",
            "errors_handled",
        )
    ),
)
