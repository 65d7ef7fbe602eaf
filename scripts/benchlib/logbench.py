"""Measures the cost of the event log for scripts/bench log: part by part, in rounds, as medians.

Costs are CPU time of all threads, because other work on the machine changes it little. Waits are by
the clock.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from benchlib import machine
from benchlib.processes import tail
from benchlib.servers import START_LIMIT, tracker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    Numbers = dict[str, float]
    Round = dict[str, Numbers]

LIVE_EVENTS = 300_000  # three seconds
# Python keeps compiled modules unless the environment says otherwise, and a start is no fair one
# that compiles them.
KEEPS_MODULES = {"PYTHONDONTWRITEBYTECODE": ""}
PART_LIMIT = 600.0  # seconds until a part is stopped
HEALTH = re.compile(r"HEALTH CHECK API: Started on: (http://\S+)")
NAMES = (
    *("Round", "Append and commit, µs/event", "at 100,000 a second", "Events a commit"),
    *("Wait for the disk, ms", "Replay, known/s", "first/s", "Verify, events/s"),
    *("Start, s of CPU", "by the clock", "Snapshot written, s", "loaded, s"),
    *("Start from one, s", "and with events after it, s", "by the clock"),
)
HEAD = f"| {' | '.join(NAMES)} |"
RULE = "|---" * len(NAMES) + "|"


class PartError(Exception):
    """A part failed; the message has its output."""


def bench(
    options: argparse.Namespace, folder: Path, say: Callable[[str], None]
) -> tuple[list[Round], list[str]]:
    """Runs all rounds; returns them and their summary."""
    log = folder / "log"
    made = _part("generate", log, options.events, options.peers)
    left = _left_by_a_kill(folder, options)
    size = sum(path.stat().st_size for path in log.rglob("*.evl"))
    say(f"{HEAD}\n{RULE}")
    rounds = []
    _starts(folder)  # the first start of a checkout compiles the modules, and keeps them
    for number in range(1, options.rounds + 1):
        machine.wait_quiet(8.0)
        rounds.append(_round(folder, log, options))
        say(row(number, rounds[-1]))
    return rounds, summary(rounds, made, left, size, options)


def _round(folder: Path, log: Path, options: argparse.Namespace) -> Round:
    scratch = folder / "scratch"
    try:
        return {
            "append": _part("append", scratch, options.events),
            "live": _part("live", scratch, LIVE_EVENTS),
            "acknowledge": _part("acknowledge", scratch),
            "replay": _part("replay", log, options.peers),
            "verify": _part("verify", log),
            "snapshots": _part("snapshots", log),
            **_starts(folder),
            "resume": _resume(folder),
        }
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _part(name: str, *arguments: Path | int) -> Numbers:
    command = [sys.executable, "-P", "-m", "benchlib.logparts", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PART_LIMIT, check=False)
    if done.returncode:
        raise PartError(f"{name}: exit {done.returncode}\n{done.stderr[-1500:]}")
    result: Numbers = json.loads(done.stdout)
    return result


def _starts(folder: Path) -> Round:
    """Starts on a copy of the log, because a start appends to it.

    The first start replays everything, the second begins from the snapshot that the stop left.
    """
    place = folder / "start"
    try:
        _copy(folder, place)
        return {"start": _start(place), "restart": _start(place)}
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _copy(folder: Path, place: Path) -> None:
    """Copies the log that was generated, and the secrets that it was written with."""
    for name in ("log", "secrets"):
        shutil.copytree(folder / name, place / name)


def _left_by_a_kill(folder: Path, options: argparse.Namespace) -> Numbers:
    """Makes a log with a snapshot and more events after it; see `logparts.go_on`."""
    place = folder / "killed"
    _copy(folder, place)
    return _part("go_on", place / "log", place / "secrets", options.after, options.peers)


def _resume(folder: Path) -> Numbers:
    """Starts with a copy of the log that a kill left."""
    place = folder / "resume"
    try:
        shutil.copytree(folder / "killed", place)
        _part("settle", place / "log", place / "secrets")
        numbers = _start(place)
        output = (place / "output").read_text()
        if "Starting from the snapshot" not in output:
            raise PartError(f"the snapshot was not used\n{output[-1500:]}")
        return numbers
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _start(place: Path) -> Numbers:
    """Measures a start from the command until the health check says Ok."""
    began = time.perf_counter()
    with tracker(place, None, environment=KEEPS_MODULES) as target:
        deadline = time.monotonic() + START_LIMIT
        while not _healthy((place / "output").read_text()):
            if time.monotonic() > deadline:
                raise PartError(f"not healthy\n{tail(place / 'output')}")
            time.sleep(0.01)
        return {"seconds": time.perf_counter() - began, "cpu": _cpu_of(target.pid)}


def _healthy(output: str) -> bool:
    if not (found := HEALTH.search(output)):
        return False
    with urlopen(f"{found[1]}/health_check") as answer:  # noqa: S310  # the tracker printed it
        return bool(json.load(answer)["status"] == "Ok")


def _cpu_of(pid: int) -> float:
    """Returns the seconds of CPU that a process has used, user and system, and those of its
    children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _rate(part: Numbers) -> float:
    return part["events"] / part["cpu"]


def _first_rate(part: Numbers) -> float:
    return part["first"] / part["first_cpu"]


def _cost(part: Numbers) -> float:
    return part["cpu"] / part["events"] * 1e6


def _company(part: Numbers) -> float:
    return part["events"] / part["commits"]


def row(number: int, one: Round) -> str:
    live, waits, replay = one["live"], one["acknowledge"], one["replay"]
    cells = [
        *(
            str(number),
            f"{_cost(one['append']):.3f}",
            f"{_cost(live):.3f}",
            f"{_company(live):,.0f}",
        ),
        *(f"{waits['median_ms']:.2f}", f"{_rate(replay):,.0f}", f"{_first_rate(replay):,.0f}"),
        *(f"{_rate(one['verify']):,.0f}", f"{one['start']['cpu']:.2f}"),
        f"{one['start']['seconds']:.2f}",
        *(f"{one['snapshots']['cpu']:.2f}", f"{one['snapshots']['load']:.2f}"),
        f"{one['restart']['cpu']:.2f}",
        *(f"{one['resume']['cpu']:.2f}", f"{one['resume']['seconds']:.2f}"),
    ]
    return "| " + " | ".join(cells) + " |"


def summary(
    rounds: Sequence[Round], made: Numbers, left: Numbers, size: int, options: argparse.Namespace
) -> list[str]:
    def middle(part: str, of: Callable[[Numbers], float] = itemgetter("cpu")) -> float:
        return statistics.median(of(one[part]) for one in rounds)

    load, slice_ms = middle("snapshots", itemgetter("load")), itemgetter("slice_ms")
    taken, wall = rounds[0]["snapshots"], itemgetter("seconds")
    return [
        f"- the log: {options.events:,} announces of {options.peers:,} peers, {size / 1e6:.0f} MB; made by the write path in {_cost(made):.2f} µs of CPU an announce",
        f"- append, encrypt, tag and commit, as fast as the log accepts: median **{middle('append', _cost):.3f} µs** of CPU an event",
        f"- the same at 100,000 events a second, beside a busy loop: median **{middle('live', _cost):.3f} µs**",
        f"- one event, waited for until it is durable: median {middle('acknowledge', itemgetter('median_ms')):.2f} ms",
        f"- replay of known peers: median **{middle('replay', _rate):,.0f} announces** a second of CPU; of first announces: **{middle('replay', _first_rate):,.0f}**",
        f"- verify: median {middle('verify', _rate):,.0f} a second",
        f"- snapshot of {taken['events']:,} peers, {taken['size'] / 1e6:.0f} MB: written in **{middle('snapshots'):.2f} s** of CPU",
        f"- loaded in **{load:.2f} s**; a tick's digest takes {middle('snapshots', slice_ms):.2f} ms",
        f"- start from the snapshot of a clean stop: median **{middle('restart'):.2f} s** of CPU until the health check says Ok",
        f"- after SIGKILL, {left['before']:,} peers in the snapshot and {options.after:,} events after it: median **{middle('resume'):.2f} s** of CPU, {middle('resume', wall):.2f} s by the clock",
        f"- without a snapshot: median **{middle('start'):.2f} s** of CPU, {middle('start', wall):.2f} s by the clock",
    ]


def block(command: str, facts: dict[str, str], rounds: Sequence[Round], lines: list[str]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items())
    rows = [row(number, one) for number, one in enumerate(rounds, 1)]
    return "\n".join([f"`{command}`", "", named, "", HEAD, RULE, *rows, "", *lines])
