"""Measures the memory of peers for scripts/bench memory, over sizes, modes and shapes of swarms."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
SHAPES = "even", "turns", "zipf"
LIMIT = 900.0  # seconds until one measurement is stopped
_HEAD = "| Mode | Swarms | Peers | Torrents | Bytes a peer | at the peak | Longest 16 announces, ms | among peers | Longest piece of a sweep, ms | Left when all are gone | After as many others |"
_RULE = "|---" * 11 + "|"


class MemoryPartError(Exception):
    """A measurement failed; the message has its output."""


def bench(sizes: tuple[int, ...], say: Callable[[str], None]) -> list[str]:
    """Measures everything; returns the tables."""
    lines = [_HEAD, _RULE]
    say("\n".join(lines))
    largest: dict[str, dict[str, Any]] = {}
    for mode in "public", "private":
        for shape in SHAPES:
            for peers in sizes:
                found = largest[f"{mode}, {shape}"] = _part(mode, shape, peers)
                lines.append(_row(mode, shape, peers, found))
                say(lines[-1])
    more = ["", *_bytes(largest, max(sizes))]
    say("\n".join(more))
    return lines + more


def _part(*arguments: str | int) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "benchlib.memoryparts", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise MemoryPartError(f"{arguments}: exit {done.returncode}\n{done.stderr[-1500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _row(mode: str, shape: str, peers: int, found: dict[str, Any]) -> str:
    cells = [
        *(mode, shape, f"{peers:,}", f"{found['torrents']:,}"),
        *(f"{found[name] / peers:.1f}" for name in ("grown", "peak")),
        *(f"{found['longest']:.1f}", f"{found['longest_at']:,}", f"{found['sweep']:.1f}"),
        *(f"{found[name] / peers:.1f}" for name in ("left", "again")),
    ]
    return "| " + " | ".join(cells) + " |"


def _bytes(largest: dict[str, dict[str, Any]], peers: int) -> Iterator[str]:
    """Yields the table of what each structure takes a peer."""
    yield f"| Bytes a peer, of {peers:,} | " + " | ".join(largest) + " |"
    yield "|---" * (len(largest) + 1) + "|"
    names = list(dict.fromkeys(name for one in largest.values() for name in one["parts"]))
    for name in names:
        cells = [f"{one['parts'].get(name, 0) / peers:.1f}" for one in largest.values()]
        yield f"| {name} | " + " | ".join(cells) + " |"
    rest = [(one["grown"] - sum(one["parts"].values())) / peers for one in largest.values()]
    yield "| the allocator, and other objects | " + " | ".join(f"{one:.1f}" for one in rest) + " |"


def block(command: str, facts: dict[str, str], lines: list[str]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items())
    return "\n".join([f"`{command}`", "", named, "", *lines])
