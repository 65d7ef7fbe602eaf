"""Fills a state with peers and says what memory they take, for scripts/bench memory.

Usage: `python -m benchlib.memoryparts MODE SHAPE PEERS`, each in its own process, because a process
does not give back all that it had. Prints one JSON object; sizes are in bytes, times in ms.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from array import array
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tracker.domain import events, packed
from tracker.domain.access import Key
from tracker.domain.events.announce import SCHEMA
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.workers import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.domain.directory import Directory

SHARE = 5  # peers in a torrent, on average
OF_ACCOUNT = 20  # peers of a member in private mode
BATCH = 16  # announces in a frame: few, so that a long one shows
BEGIN_US = 1_800_000_000_000_000


class Crowd:
    """Names and orders the peers. It has all its memory before the first of them announces."""

    def __init__(self, shape: str, peers: int) -> None:
        self.peers = peers
        self.torrents = max(1, peers // SHARE)
        self.hashes = Random(1).randbytes(20 * self.torrents)  # noqa: S311  # the same every time
        ends = array("I", accumulate(_sizes(shape, peers, self.torrents)))
        order = array("I", range(peers))
        if shape != "turns":
            Random(2).shuffle(order)  # noqa: S311
        self.order = order
        self.torrent = array(
            "I",
            (number % self.torrents for number in order)
            if shape == "turns"
            else (bisect_right(ends, place) for place in order),
        )

    def frames(self, state: State, first: int) -> Callable[[int], None]:
        """Returns what applies the frame that begins with announce number `first` + n."""
        accounts = len(state.access.account_of) - 1  # 0 in public mode
        protocol = events.UDP4 << 4

        def apply(done: int) -> None:
            plain, protected = bytearray(), bytearray()
            for number in range(done, min(done + BATCH, self.peers)):
                place, torrent = self.order[number], self.torrent[number]
                packed.add_plain(
                    plain, BEGIN_US + first + number, self.hashes[20 * torrent : 20 * torrent + 20],
                    b"-XX0001-", 0, 0, number % 10 >= 3, number % accounts + 1 if accounts else 0,
                    0, 50, 0, 0, protocol, events.RULE_FIRST, 0,
                )  # fmt: skip
                address = (first + place).to_bytes(4, "big")
                packed.add_protected(
                    protected, address, b"-XX0001-" + bytes(8) + address, b"\x1a\xe1", 0, False
                )
            state.apply(events.ANNOUNCE, SCHEMA, state.seq, bytes(plain), bytes(protected))

        return apply


def _sizes(shape: str, peers: int, torrents: int) -> list[int]:
    """Returns how many peers each torrent has: all alike, or by Zipf's law.

    By the law the torrent of rank r has C / r peers, and none has less than one.
    """
    if shape != "zipf":
        return [peers * (n + 1) // torrents - peers * n // torrents for n in range(torrents)]
    low, high = 1.0, float(peers)
    while high - low > 0.5:
        middle = (low + high) / 2
        over = sum(max(1, int(middle / rank)) for rank in range(1, torrents + 1)) > peers
        low, high = (low, middle) if over else (middle, high)
    sizes = [max(1, int(low / rank)) for rank in range(1, torrents + 1)]
    sizes[0] += peers - sum(sizes)
    return sizes


def fill(mode: str, shape: str, peers: int) -> dict[str, Any]:
    lifetime.keep_tables_apart()  # as the tracker does
    crowd = Crowd(shape, peers)
    state = State()
    if mode == "private":
        state.change_settings(Settings(private=True), 0)
        for number in range(1, max(2, peers // OF_ACCOUNT)):
            state.access.issue(
                number.to_bytes(32, "big"), Key(number, None, number, f"{number}", None)
            )
    ctypes.CDLL(None).malloc_trim(0)  # else the peers would get what was freed before
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _memory("VmRSS")
    longest, at = _longest(crowd.frames(state, 0), peers)
    found: dict[str, Any] = {
        "torrents": state.swarms.torrents_total,
        "grown": _memory("VmRSS") - before,
        "peak": _memory("VmHWM") - before,
        "parts": parts(state),
        "longest": longest,
        "longest_at": at,
    }
    found["sweep"] = _leave(state)
    found["left"] = _memory("VmRSS") - before
    _longest(crowd.frames(state, peers), peers)
    return {**found, "again": _memory("VmRSS") - before}


def _longest(apply: Callable[[int], None], peers: int) -> tuple[float, int]:
    """Applies all frames. Returns the longest in ms of CPU, and the peers that were there."""
    longest, where = 0, 0
    for done in range(0, peers, BATCH):
        began = time.thread_time_ns()
        apply(done)
        took = time.thread_time_ns() - began
        if took > longest:
            longest, where = took, done
    return longest / 1e6, where


def _leave(state: State) -> float:
    """Sweeps all peers and torrents away. Returns the longest piece in ms of CPU."""
    longest = 0.0
    while state.swarms.torrents_total:
        state.sweep.add(state.swarms, 0, 256)
        while not state.sweep.done:
            began = time.thread_time_ns()
            state.sweep.step(state.swarms, 2 * BEGIN_US, True, state.expire, False)
            longest = max(longest, (time.thread_time_ns() - began) / 1e6)
    return longest


def parts(state: State) -> dict[str, int]:
    """Returns the bytes in use of each structure."""
    swarms = state.swarms
    families = swarms.v4, swarms.v6, swarms.identities
    found = {
        "rows of peers": len(swarms.rows),
        "places of peers": sum(_used(each.places) for each in families),
        "endpoints and owners": _pool(swarms.v4) + _pool(swarms.v6),
        "identities and owners": _pool(swarms.identities),
        "lists of keys and accounts": sum(
            _used(each._links) + _used(each._first) for each in (swarms.of_key, swarms._of_account)
        ),
        "index of large swarms": sum(map(_used, swarms.v4._index.tables))
        + sum(map(_used, swarms.identities._index.tables)),
        "rows of torrents": _used(swarms.tables.torrents)
        + sum(_used(each._runs) for each in families[1:]),
        "info hashes": len(swarms.hashes),
        "completed and largest": _used(swarms.completed) + _used(swarms.largest),
        "order of torrents": _used(swarms._in_order._links),
        "index of torrents": sum(map(_used, swarms._index.tables)),
        "free runs": sum(_used(run) for each in families for run in each.free),
    }
    return {name: size for name, size in found.items() if size > 1000}


def _pool(directory: Directory) -> int:
    return len(directory.addresses) + _used(directory.owners)


def _used(column: array[int]) -> int:
    return len(column) * column.itemsize


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fill(sys.argv[1], sys.argv[2], int(sys.argv[3]))) + "\n")
