"""Serves the tracker's counters (contract, section 1.5), as JSON or as lines for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from api.endpoint import Endpoint
from api.metrics import AS_PROMETHEUS, FORMAT, all_counters, wanted_format
from api.openapi import shapes
from api.reads import AT, moment_in_query
from api.replies import JSON, TEXT, encode, json_text, text
from tracker.ports import ReadModel

if TYPE_CHECKING:
    from api.reads import Reads
    from api.replies import Response
    from tracker.ports import Gauges


@attrs.frozen
class Statistics:
    reads: Reads
    gauges: Gauges | None = None

    def endpoints(self) -> list[Endpoint]:
        counters = shapes.STATS_WITH_UDP if self.gauges else shapes.STATS
        described = {200: {JSON: counters, TEXT: shapes.STRING}}
        return [Endpoint("GET", "/stats", self.stats, "Counters.", described, query=(FORMAT, AT))]

    async def stats(self) -> Response:
        """Shows the contract's counters, and those of the gauges, which have no past.

        As lines there are no comments, and the last line has no end.
        """
        wanted = wanted_format()
        stats = await self.reads.one(ReadModel.stats)
        gauges = self.gauges if moment_in_query() is None else None
        counters = all_counters(stats, gauges.udp() if gauges else None)
        if wanted == AS_PROMETHEUS:
            return text("\n".join(f"{name} {value}" for name, value in counters.items()))
        return json_text(encode(counters))
