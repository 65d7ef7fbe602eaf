"""Gives each test a network of its own, the installed clients, and a tracker with a torrent."""

from __future__ import annotations

import json
import random
import shutil
from typing import TYPE_CHECKING

import pytest
from attrs import frozen

from tests.clients.isolation import own_network
from tests.clients.programs import PROGRAMS, Program
from tests.e2e.clients import api
from tests.e2e.conftest import new_tracker as new_tracker
from tests.e2e.process import Listeners
from tests.e2e.swarm import Content, content, unused_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.process import Tracker

SIZE = 1_500_000
QUICK = "announce_policy = {interval = 5, interval_min = 5}"


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
def find_program() -> Callable[[str], type[Program]]:
    """`find_program(command)` returns the client; the test is skipped if it is not installed."""
    return _find_program


def _find_program(command: str) -> type[Program]:
    program = PROGRAMS[command]
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed: apt install {program.package}")
    return program


@frozen
class Site:
    """Holds a running tracker and one torrent, with each member's own announce URL."""

    tracker: Tracker
    ours: Content
    theirs: Content
    keys: tuple[str, ...]  # the members' keys in the same order; empty in public mode

    def ledger(self, key_ref: int) -> dict[str, int]:
        """Returns the sums of `tracker ledger`, after checking them against its entries."""
        done = self.tracker.command("ledger", "--json", str(key_ref))
        assert (done.returncode, done.stderr) == (0, "")
        *lines, sums = map(json.loads, done.stdout.splitlines())
        entries = [one for one in lines if one["type"] == "announce"]
        for way in ("uploaded", "downloaded"):
            assert sum(one[f"delta_{way}"] for one in entries) == sums[way]
        return {way: sums[way] for way in ("uploaded", "downloaded")}


@pytest.fixture
def new_site(new_tracker: Callable[..., Tracker]) -> Callable[..., Site]:
    """`new_site(protocol, keyed=False)` starts a site.

    A keyed one is private; `ours` has the first key, `theirs` the second. `core`: TOML in `[core]`.
    """

    def make(protocol: str, *, keyed: bool = False, core: str = QUICK) -> Site:
        tracker = new_tracker(Listeners(udp=(f"{unused_host()}:0",)), core)
        if keyed:
            tracker.switch_on("private")
        tracker.start()
        keys = tuple(_key(tracker) for _ in "12") if keyed else ()
        ((host, port),) = getattr(tracker, protocol)
        url = f"{protocol}://{host}:{port}/announce"
        data = random.Random(7).randbytes(SIZE)
        ours, theirs = (content(data, f"{url}/{k}" if k else url) for k in keys or ("", ""))
        return Site(tracker, ours, theirs, keys)

    return make


def _key(tracker: Tracker) -> str:
    return str(api(tracker, "/api/v1/key/86400000", "POST")["key"])
