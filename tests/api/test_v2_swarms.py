"""Tests a swarm in version 2: percent, rates and lateness are those of the members' announces."""

from __future__ import annotations

import json
import time

from attrs import evolve

from tests.api.asking import ask, problem
from tests.api.fakes.model import OWNERS
from tracker.ports import Peer, TorrentFacts

HASH = bytes([5] * 20)
PATH = f"/api/v2/swarms/{HASH.hex()}"


async def test_a_swarm(app, live, commands, log):
    """Members by their last announces; a rate is that of the last one."""
    now_ms = time.time_ns() // 1_000_000
    late = Peer(
        bytes(20), "qBittorrent 4.6.5", "192.0.2.1:1", now_ms - 2_000_000, 900, 50, 250, "None"
    )
    seeder = evolve(late, updated_ms=now_ms, left=0)
    commands.facts[HASH] = TorrentFacts(label="Debian 13", size=1000)
    live.add(HASH, late, seeder)
    log.known_rates = {7: (80, 5), 9: (1, 1)}
    page = json.loads((await ask(app, "GET", PATH)).body)
    assert (page["label"], page["size"], page["next"]) == ("Debian 13", 1000, None)
    first, second = page["peers"]
    assert (first["account"], first["owner"], first["client"]) == (7, OWNERS[7], late.client)
    assert (first["percent"], first["upload_rate"], first["download_rate"]) == (75.0, 80, 5)
    assert (first["overdue_seconds"] // 10, first["address"]) == (20, None)  # of 1800 s
    assert (second["percent"], second["upload_rate"], second["overdue_seconds"]) == (100.0, None, 0)
    page = json.loads((await ask(app, "GET", f"{PATH}?limit=1")).body)
    assert (len(page["peers"]), page["next"]) == (1, 7)
    page = json.loads((await ask(app, "GET", f"{PATH}?after=7")).body)
    assert [one["last_seq"] for one in page["peers"]] == [8]


async def test_no_such_torrent(app):
    """A torrent that the tracker does not know is a 404, as under `torrents`."""
    document = problem(await ask(app, "GET", PATH))
    assert (document["status"], document["detail"]) == (
        404,
        "the tracker knows nothing of that torrent",
    )
