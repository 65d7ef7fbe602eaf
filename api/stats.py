"""The tracker's counters (contract, section 1.5), as JSON or as lines for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from api.metrics import PROMETHEUS, stats_lines, wanted_format
from api.replies import encode, json_text, text

if TYPE_CHECKING:
    from api.replies import Response
    from tracker.ports import Gauges, History


@attrs.frozen
class Statistics:
    history: History
    gauges: Gauges | None = None

    async def stats(self) -> Response:
        """As JSON the counters of the contract; for Prometheus those of the gauges too."""
        stats = self.history.at().stats()
        if wanted_format() == PROMETHEUS:
            return text(stats_lines(stats, self.gauges.udp() if self.gauges else None))
        return json_text(encode(attrs.asdict(stats)))
