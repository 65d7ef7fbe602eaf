"""Lists the endpoints of version 1 (contract, sections 1.2 to 1.5)."""

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
    reads, shapes = Reads(ports.live, ports.past), V1Shapes()
    access = Access(ports.commands, shapes)
    rows = [
        *Statistics(reads, ports.gauges).endpoints(),
        *Torrents(reads, shapes).endpoints(),
        *access.endpoints(),
        *Metrics(ports.gauges).endpoints(),
        *Keys(access).endpoints(),
    ]
    return under("/api/v1", errors.DESCRIBED, rows)
