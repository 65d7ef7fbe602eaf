"""What version 1 serves (contract, sections 1.2 to 1.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import routing
from api.access import Access, reload
from api.metrics import Metrics
from api.reads import Reads
from api.stats import Statistics
from api.torrents import Torrents
from api.v1.keys import Keys
from api.v1.shapes import V1Shapes

if TYPE_CHECKING:
    from quart import Blueprint

    from api.ports import Ports
    from api.routing import Route


def blueprint(ports: Ports) -> Blueprint:
    """Without gauges there are no metrics."""
    shapes, gauges = V1Shapes(), ports.gauges
    reads, commands = Reads(ports.history, ports.past), ports.commands
    torrents, access = Torrents(reads, shapes), Access(commands, shapes)
    metrics: list[Route] = [("GET", "/metrics", Metrics(gauges).metrics)] if gauges else []
    return routing.blueprint(
        "v1",
        "/api/v1",
        [
            *metrics,
            ("GET", "/stats", Statistics(reads, gauges).stats),
            ("GET", "/torrents", torrents.many),
            ("GET", "/torrent/<info_hash>", torrents.one),
            ("GET", "/whitelist/reload", reload),
            ("POST", "/whitelist/<info_hash>", access.whitelist_add),
            ("DELETE", "/whitelist/<info_hash>", access.whitelist_remove),
            ("GET", "/keys/reload", reload),
            ("POST", "/keys", Keys(access).add),
            ("POST", "/key/<value>", access.generate_key),
            ("DELETE", "/key/<value>", access.revoke_key),
        ],
    )
