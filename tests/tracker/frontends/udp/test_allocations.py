"""On the compiled build an announce makes no object, from the received datagram to its reply."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import Rig
from tests.tracker.frontends.udp.lives import batch_of, put
from tracker import build
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.domain.policy import Policy
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from tracker.frontends.udp.recvmmsg import Batch

ROOT = Path(__file__).parents[4]
COUNTER = """
#include <stddef.h>
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
static long count;
long allocations(void) { return count; }
void *malloc(size_t size) { count++; return __libc_malloc(size); }
void *calloc(size_t one, size_t size) { count++; return __libc_calloc(one, size); }
"""
"""Counts what Python allocates under PYTHONMALLOC=malloc. It leaves out `realloc`, by which frames
and tables grow now and then, because that makes no object."""
REQUEST = Struct(">QI4s20s20sqqqIIIiH")
RULES = Policy(
    interval_jitter=60, clients_allowed=("-YY", "-XX"), clients_denied=("-ZZ",), refused_ports=("25",),
    max_torrents=1000, max_peers=1_000_000, max_peers_per_torrent=1_000_000,
    requests_per_minute=1_000_000,
)  # fmt: skip
EARLY = Policy(enforce_interval_min=True)
CROWD = 6 * 64
"""Peers that are in the swarms before: in one swarm they are more than an answer lists."""
# Settings, torrents, and an outside address for clients, which are on the tracker's machine then.
SITES: dict[str, tuple[dict[str, Any], int, bytes | None]] = {
    "public": ({}, 7, None),
    "private": ({"private": True}, 7, None),
    "public, in one large swarm": ({}, 1, None),
    "private, in one large swarm": ({"private": True}, 1, None),
    "with rules": ({"policy": RULES}, 7, None),
    "private with rules": ({"private": True, "policy": RULES}, 1, None),
    "too early": ({"policy": EARLY}, 7, None),
    "listed": ({"listed": True}, 7, None),
    "listed and private": ({"listed": True, "private": True}, 7, None),
    "with an outside address": ({}, 7, bytes([198, 51, 100, 7])),
    "with one of the other family": ({}, 1, bytes(range(16))),
}


class Front:
    """A handler, and a batch that nobody received."""

    def __init__(self, settings: dict[str, Any], torrents: int, external: bytes | None) -> None:
        rig = Rig.with_settings(**settings)
        self.options = b""
        if settings.get("private"):
            path = b"/announce/" + rig.issue(1, "anna")
            self.options = bytes([2, len(path)]) + path
        self.hashes = [bytes([number]) * 20 for number in range(torrents)]
        for info_hash in self.hashes:
            rig.service.append(TorrentWhitelisted(info_hash))
        self.network = 127 if external else 10
        self.ids = ConnectionIds(b"k")
        self.handler = DatagramHandler(rig.service, self.ids, 0, external)
        self.batch = batch_of(socket.AF_INET)

    def allocations(self, count: int, first: int, event: int = 0) -> int:
        """Announces `count` peers, and returns how often memory was allocated meanwhile."""
        self.handler.begin()
        for slot in range(count):
            address = bytes([self.network, 0, 0, slot])
            connection_id = int.from_bytes(self.ids.issue(address), "big")
            request = REQUEST.pack(
                connection_id, 1, b"tran", self.hashes[slot % len(self.hashes)],
                b"-XX0001-%06d%06d" % (first, slot), 0, slot & 1, 0, event, 0, 0, 50, first + slot,
            ) + self.options  # fmt: skip
            put(self.batch, slot, address, request)
        made = answered(self.handler, self.batch, count)
        assert not self.batch.silent
        assert self.batch.replies[:4] == b"\0\0\0\1"
        return made


def answered(handler: DatagramHandler, batch: Batch, count: int) -> int:
    """Answers the first datagrams of a batch, and returns how often memory was allocated."""
    read = ctypes.CDLL(None).allocations
    read.restype = ctypes.c_long
    read()
    before: int = read()
    handler.answer_all(batch, count)
    after: int = read()
    handler.end()
    return after - before


def main() -> None:
    """Writes for each site what 64 announces of known peers allocate more than 4, and then what
    those of new peers do.
    """
    for name, site in SITES.items():
        front = Front(*site)
        for first in range(1000, 1000 + CROWD, 64):
            front.allocations(64, first)
        for event in (0, 3):  # so that the tables have room, which they get for many at a time
            for first in (3000, 4000):
                front.allocations(64, first, event)
        more = []
        for few, many in ((1000, 1000), (3000, 4000)):
            before = front.allocations(4, few)
            more.append(front.allocations(64, many) - before)
        sys.stdout.write(f"{name}: {more}\n")


def output(module: str, folder: Path) -> list[str]:
    """Runs a module with its allocations counted, and returns the lines that it writes."""
    source, library = folder / "counter.c", folder / "counter.so"
    source.write_text(COUNTER)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    ran = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"}, timeout=300,
    )  # fmt: skip
    return ran.stdout.splitlines()


@pytest.mark.skipif(build.build() != "compiled", reason="the pure build makes objects")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_an_announce_allocates_nothing(tmp_path: Path) -> None:
    """64 announces allocate as often as 4: with and without keys, rules, a whitelist, and peers
    that have to be chosen."""
    assert output(__name__, tmp_path) == [f"{name}: [0, 0]" for name in SITES]


if __name__ == "__main__":
    main()
