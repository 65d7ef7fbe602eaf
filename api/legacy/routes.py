"""What the un-prefixed API serves (contract, section 1.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import routing
from api.access import Access, reload
from api.legacy.shapes import LegacyShapes
from api.reads import Reads
from api.stats import Statistics
from api.torrents import Torrents

if TYPE_CHECKING:
    from quart import Blueprint

    from api.ports import Ports


def blueprint(ports: Ports) -> Blueprint:
    shapes, reads = LegacyShapes(), Reads(ports.history, ports.past)
    torrents, access = Torrents(reads, shapes), Access(ports.commands, shapes)
    return routing.blueprint(
        "legacy",
        "/api",
        [
            ("GET", "/stats", Statistics(reads).stats),
            ("GET", "/torrents", torrents.many),
            ("GET", "/torrent/<info_hash>", torrents.one),
            ("GET", "/whitelist/reload", reload),
            ("POST", "/whitelist/<info_hash>", access.whitelist_add),
            ("DELETE", "/whitelist/<info_hash>", access.whitelist_remove),
            ("GET", "/keys/reload", reload),
            ("POST", "/key/<value>", access.generate_key),
            ("DELETE", "/key/<value>", access.revoke_key),
        ],
    )
