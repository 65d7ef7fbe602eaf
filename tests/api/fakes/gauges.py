"""Implements `ports.Gauges`."""

from __future__ import annotations

from tracker.ports import Metric, Sample, UdpStats

UDP_COUNTERS = UdpStats(*range(101, 113))


class FakeGauges:
    """Gives one metric of each kind, and one without samples."""

    def udp(self) -> UdpStats:
        return UDP_COUNTERS

    def metrics(self) -> list[Metric]:
        labels = ("a", 'x"\n'), ("kind", "one")
        return [
            Metric("asked_total", "counter", "How often.", (Sample(3, labels), Sample(2**40))),
            Metric("here_total", "gauge", "How many.", (Sample(0.5),)),
            Metric("never", "gauge", "Nothing yet.", ()),
        ]
