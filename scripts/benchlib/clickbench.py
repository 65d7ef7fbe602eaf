"""Measures announces while twenty people click through the console, for scripts/bench clicks.

UDP and HTTP announces of a private site's members come by the clock, over both at the same time.
Turns without clicks and turns with them follow each other on one tracker. No process has a core to
itself, because the console and the helper processes are part of the site. Only the generator goes
before all others, because it stands for machines elsewhere; without root it cannot.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchlib.load import Load, LoadError
from benchlib.people import PEOPLE, PERIOD
from benchlib.servers import issue_keys, tracker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchlib.load import Generator, Result, Target

A_SECOND = 200.0
"""Announces over UDP, and as many over HTTP."""
NICE = 10  # of the people, as the console has it
FIRST = -20  # of the generator
LOADS = (Load("udp", private=True), Load("http", private=True))
HEAD = "| Round | People | UDP p50 ms | p99 ms | max ms | HTTP p50 ms | p99 ms | max ms | Server CPU | Pages | Page p50 ms | max ms | Errors |"
RULE = "|---" * 13 + "|"


@dataclass(frozen=True, slots=True)
class Turn:
    round: int
    results: Sequence[Result]  # as LOADS
    pages: dict[str, Any] | None  # what `people` says; None = nobody clicked

    @property
    def errors(self) -> int:
        return sum(one.errors + one.lost for one in self.results)


def bench(
    options: argparse.Namespace, generator: Generator, folder: Path, say: Callable[[str], None]
) -> list[Turn]:
    """Runs all rounds; returns their turns. Raises ServerError, LoadError."""
    turns, generator = [], replace(generator, nice=FIRST)
    with tracker(folder, None, LOADS[0], whole=True) as target:
        issue_keys(target, generator.keys())
        generator.fill(target, LOADS[0])
        hashes = generator.hashes()[:PEOPLE]
        say(f"{HEAD}\n{RULE}")
        for number in range(1, options.rounds + 1):
            turns.append(Turn(number, _announces(generator, target, options.seconds), None))
            say(row(turns[-1]))
            with _clicking(target, options.seconds, hashes) as people:
                results = _announces(generator, target, options.seconds)
            turns.append(Turn(number, results, _said(people)))
            say(row(turns[-1]))
    return turns


def _announces(generator: Generator, target: Target, seconds: float) -> list[Result]:
    with ThreadPoolExecutor(len(LOADS)) as pool:
        running = [pool.submit(generator.paced, load, target, A_SECOND, seconds) for load in LOADS]
        return [one.result() for one in running]


@contextmanager
def _clicking(
    target: Target, seconds: float, hashes: Sequence[str]
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-m", "benchlib.people", str(target.console_port)]
    people = subprocess.Popen(
        [*command, str(seconds), *hashes], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: os.nice(NICE),
    )  # fmt: skip
    try:
        if people.stdout is None or people.stdout.readline() != "ready\n":
            raise LoadError("the people could not open the console's pages")
        yield people
    finally:
        people.terminate() if sys.exc_info()[0] else people.wait()


def _said(people: subprocess.Popen[str]) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(people.stdout.read() if people.stdout else "")
    if said["errors"]:
        raise LoadError(said["errors"][0])
    return said


def row(turn: Turn) -> str:
    cells = [str(turn.round), str(PEOPLE) if turn.pages else ""]
    for one in turn.results:
        cells += [f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", f"{one.max_ms:.1f}"]
    cells.append(f"{turn.results[0].server_cpu:.0%}")
    pages = turn.pages
    cells += (
        [str(pages["pages"]), f"{pages['p50_ms']:.0f}", f"{pages['max_ms']:.0f}"]
        if pages
        else ["", "", ""]
    )
    return "| " + " | ".join([*cells, str(turn.errors)]) + " |"


def summary(turns: Sequence[Turn]) -> list[str]:
    lines = []
    for place, load in enumerate(LOADS):
        alone, beside = (
            statistics.median(
                turn.results[place].p99_ms for turn in turns if bool(turn.pages) == clicks
            )
            for clicks in (False, True)
        )
        lines.append(
            f"- {load.protocol.upper()}: median of p99 **{alone:.2f} ms** alone, **{beside:.2f} ms** while "
            f"{PEOPLE} people click every {PERIOD:.0f} s: {beside / alone:.1f} times as long"
        )
    return lines


def block(command: str, facts: dict[str, str], turns: Sequence[Turn]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items())
    rows = map(row, turns)
    return "\n".join([f"`{command}`", "", named, "", HEAD, RULE, *rows, "", *summary(turns)])
