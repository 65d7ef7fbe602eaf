"""Measures what the follower and questions about the past cost, for scripts/bench audit.

The log is that of a private site with a rule of hit and run, written by the tracker's own write
path (`auditparts`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 7_200.0
"""Seconds until a part is stopped."""


class PartError(Exception):
    """A part failed; the message has its output."""


def bench(events: int, folder: Path, say: Callable[[str], None]) -> list[str]:
    """Measures everything; returns the tables."""
    log, lines = folder / "log", list[str]()

    def show(*more: str) -> None:
        lines.extend(more)
        say("\n".join(more))

    made = part("generate", log, events)
    show("| What | |", "|---|---|")
    show(_row("Events written by the write path, a second of CPU", made["events"] / made["cpu"]))
    found = part("follow", log)
    for problem in found["problems"]:
        say(f"bench: the follower says {problem}")
    show(
        _row("Events in the log", found["events"]),
        _row("Events applied by the follower, a second by the clock", found["events"] / found["seconds"]),
        _row("and a second of CPU", found["events"] / found["cpu"]),
        _row("Memory of the follower at its peak, MB", found["rss_mb"]),
        f"| Index of stays, bytes an event | {found['stays_bytes']:.1f} |",
        f"| Index of frames, bytes an event | {found['frames_bytes']:.1f} |",
        f"| Book, bytes an event | {found['book_bytes']:.1f} |",
    )  # fmt: skip
    show("", "| Question | Seconds by the clock | of CPU |", "|---|---|---|")
    for name, (seconds, cpu) in part("ask", log).items():
        show(f"| {name} | {seconds:.3f} | {cpu:.3f} |")
    return lines


def _row(name: str, number: float) -> str:
    return f"| {name} | {number:,.0f} |"


def part(name: str, folder: Path, *numbers: int) -> dict[str, Any]:
    """Runs a part of `auditparts` in a process of its own. Raises PartError."""
    command = [sys.executable, "-P", "-m", "benchlib.auditparts", name, str(folder)]
    command += map(str, numbers)
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise PartError(f"{name}: exit {done.returncode}\n{done.stderr[-1500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
