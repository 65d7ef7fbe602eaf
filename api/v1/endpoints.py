"""Lists what version 1 serves (contract, sections 1.2 to 1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import errors
from api.access import Access
from api.endpoint import under
from api.metrics import Metrics
from api.reads import Reads
from api.stats import Statistics
from api.torrents import Torrents
from api.v1.keys import Keys
from api.v1.shapes import V1Shapes

if TYPE_CHECKING:
    from api.endpoint import Endpoint
    from api.ports import Ports


def version_1(ports: Ports) -> list[Endpoint]:
    """Without gauges there are no metrics."""
    reads, shapes, gauges = Reads(ports.live, ports.past), V1Shapes(), ports.gauges
    access = Access(ports.commands, shapes)
    rows = [
        *Statistics(reads, gauges).endpoints(),
        *Torrents(reads, shapes).endpoints(),
        *access.endpoints(),
        *(Metrics(gauges).endpoints() if gauges else ()),
        *Keys(access).endpoints(),
    ]
    return under("/api/v1", errors.DESCRIBED, rows)
