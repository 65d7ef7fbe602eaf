"""Tests clients that are silent for longer than the timeout: what they moved is credited."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import SIZE
from tests.e2e.clients import api
from tests.e2e.process import DEADLINE, Follower
from tests.e2e.swarm import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.clients.conftest import Site
    from tests.e2e.process import Event

pytestmark = pytest.mark.clients

# Seconds. The clients do not announce again by themselves, and are soon swept.
SILENT = """announce_policy = {interval = 600, interval_min = 600}
inactive_peer_cleanup_interval = 1
tracker_policy = {max_peer_timeout = 2}"""


@pytest.mark.parametrize("protocol", ["http", "udp"])
def test_swept_clients_are_credited(
    new_site: Callable[..., Site], tmp_path: Path, protocol: str
) -> None:
    """libtorrent moves the file while the tracker does not hear from the seed, and has swept it."""
    site = new_site(protocol, keyed=True, core=SILENT)
    have, want = site.ours.put_into(tmp_path / "have"), tmp_path / "want"
    with (
        closing(Follower(site.tracker, "--type", "announced")) as log,
        closing(Client(site.ours, have)) as seed,
        closing(Client(site.theirs, want)) as leech,
    ):
        seed.wait_announced()
        leech.wait_announced()
        wait_until_swept(site)
        leech.connect(seed)
        leech.wait_complete()
        wait_until_swept(site)
        seed.leave()
        leech.leave()
        events = log.until(lambda events: stopped(events) == {1, 2})
    ends = {one["key_ref"]: one["rule"] for one in events}
    assert ends[1] == "resumed"
    assert site.ours.found_in(want)
    assert site.ledger(1) == {"uploaded": SIZE, "downloaded": 0}
    assert site.ledger(2) == {"uploaded": 0, "downloaded": SIZE}


def wait_until_swept(site: Site) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        stats = api(site.tracker, "/api/v1/stats")
        if not stats["seeders"] + stats["leechers"]:
            return
        time.sleep(0.1)
    raise AssertionError("the clients were not swept")


def stopped(events: list[Event]) -> set[int]:
    return {one["key_ref"] for one in events if one["event"] == "stopped"}
