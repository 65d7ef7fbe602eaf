"""Measures the cost of the event log for scripts/bench log: part by part, in rounds, as medians.

Costs are CPU time of all threads, because other work on the machine changes it little. Waits are by
the clock.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchlib import machine
from benchlib.servers import tracker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    Numbers = dict[str, float]
    Round = dict[str, Numbers]

PART_LIMIT = 600.0  # seconds until a part is stopped
HEAD = "| Round | Append and commit, µs/event | Events a commit | Wait for the disk, ms | Replay, events/s | Verify, events/s | Start, s of CPU | by the clock | Snapshot written, s | loaded, s | Start from one, s | and as many events after it, s | by the clock |"
RULE = "|---" * 13 + "|"


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
    for number in range(1, options.rounds + 1):
        machine.wait_quiet(8.0)
        rounds.append(_round(folder, log, options.events))
        say(row(number, rounds[-1]))
    return rounds, summary(rounds, made, left, size, options)


def _round(folder: Path, log: Path, events: int) -> Round:
    scratch = folder / "scratch"
    try:
        return {
            "append": _part("append", scratch, events),
            "acknowledge": _part("acknowledge", scratch),
            "replay": _part("replay", log),
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
    """Makes a log with a snapshot and as many events again after it; see `logparts.go_on`."""
    place = folder / "killed"
    _copy(folder, place)
    return _part("go_on", place / "log", place / "secrets", options.events, options.peers)


def _resume(folder: Path) -> Numbers:
    """Starts with a copy of the log that a kill left."""
    place = folder / "resume"
    try:
        shutil.copytree(folder / "killed", place)
        numbers = _start(place)
        output = (place / "output").read_text()
        if "Starting from the snapshot" not in output:
            raise PartError(f"the snapshot was not used\n{output[-1500:]}")
        return numbers
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _start(place: Path) -> Numbers:
    """Measures a start from the command to the lines that say it serves."""
    began = time.perf_counter()
    with tracker(place, None) as target:
        return {"seconds": time.perf_counter() - began, "cpu": _cpu_of(target.pid)}


def _cpu_of(pid: int) -> float:
    """Returns the seconds of CPU that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rate(part: Numbers) -> float:
    return part["events"] / part["cpu"]


def _cost(part: Numbers) -> float:
    return part["cpu"] / part["events"] * 1e6


def _company(part: Numbers) -> float:
    return part["events"] / part["commits"]


def row(number: int, one: Round) -> str:
    append, waits = one["append"], one["acknowledge"]
    cells = [
        *(str(number), f"{_cost(append):.3f}", f"{_company(append):,.0f}"),
        *(f"{waits['median_ms']:.2f}", f"{_rate(one['replay']):,.0f}"),
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
    append = statistics.median(_cost(one["append"]) for one in rounds)
    rate = statistics.median(one["append"]["events"] / one["append"]["seconds"] for one in rounds)
    wait = statistics.median(one["acknowledge"]["median_ms"] for one in rounds)
    replayed = statistics.median(_rate(one["replay"]) for one in rounds)
    verified = statistics.median(_rate(one["verify"]) for one in rounds)
    start = statistics.median(one["start"]["cpu"] for one in rounds)
    clock = statistics.median(one["start"]["seconds"] for one in rounds)
    taken = [one["snapshots"] for one in rounds]
    wrote = statistics.median(each["cpu"] for each in taken)
    loaded = statistics.median(each["load"] for each in taken)
    slice_ms = statistics.median(each["slice_ms"] for each in taken)
    restart = statistics.median(one["restart"]["cpu"] for one in rounds)
    resume = statistics.median(one["resume"]["cpu"] for one in rounds)
    resume_clock = statistics.median(one["resume"]["seconds"] for one in rounds)
    tail = (
        f"{left['before']:,} peers and {options.events:,} events after it, 1 % of them of new peers"
    )
    log = f"{options.events:,} announces of {options.peers:,} peers, {size / 1e6:.0f} MB"
    return [
        f"- the log: {log}; made by the write path in {_cost(made):.2f} µs of CPU an announce",
        f"- append and commit alone: median **{append:.3f} µs** of CPU a record, {rate:,.0f} records/s",
        f"- one event, waited for until it is durable: median {wait:.2f} ms",
        f"- replay: median **{replayed:,.0f} events** a second of CPU; verify: {verified:,.0f}",
        f"- snapshot of {taken[0]['events']:,} peers, {taken[0]['size'] / 1e6:.0f} MB: written in **{wrote:.2f} s** of CPU",
        f"- loaded in **{loaded:.2f} s**; a tick's digest takes {slice_ms:.2f} ms",
        f"- start from the snapshot of a clean stop: median **{restart:.2f} s** of CPU",
        f"- start from a snapshot of {tail}: median **{resume:.2f} s** of CPU, {resume_clock:.2f} s by the clock",
        f"- start with that log, from the command to serving: median **{start:.2f} s** of CPU, {clock:.2f} s by the clock",
    ]


def block(command: str, facts: dict[str, str], rounds: Sequence[Round], lines: list[str]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items())
    rows = [row(number, one) for number, one in enumerate(rounds, 1)]
    return "\n".join([f"`{command}`", "", named, "", HEAD, RULE, *rows, "", *lines])
