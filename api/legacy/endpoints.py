"""Lists the endpoints of the un-prefixed API (contract, section 1.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import errors
from api.access import Access
from api.endpoint import under
from api.legacy.shapes import LegacyShapes
from api.reads import Reads
from api.stats import Statistics
from api.torrents import Torrents

if TYPE_CHECKING:
    from api.endpoint import Endpoint
    from api.ports import Ports


def legacy(ports: Ports) -> list[Endpoint]:
    reads, shapes = Reads(ports.live, ports.past), LegacyShapes()
    rows = [
        *Statistics(reads).endpoints(),
        *Torrents(reads, shapes).endpoints(),
        *Access(ports.commands, shapes).endpoints(),
    ]
    return under("/api", errors.DESCRIBED, rows)
