"""Runs the measurement: `python -m tests.population --members 20000 --days 30 --cheats 0.05`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from attrs import evolve

from tests.population.measure import measure, report, told
from tests.population.shares import Cheats
from tests.population.simulator import Population
from tests.population.writing import write
from tracker.domain.detecting.intervals import CASE


def main() -> None:
    """Measures, or writes a log that other tools read."""
    parser = argparse.ArgumentParser(prog="python -m tests.population", description=__doc__)
    parser.add_argument("--members", type=int, default=300, metavar="N")
    parser.add_argument("--days", type=float, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--cheats", type=float, default=0, metavar="SHARE", help="of the members")
    parser.add_argument("--findings", type=Path, metavar="FILE", help="write those on honest ones")
    parser.add_argument("--log", type=Path, metavar="FOLDER", help="write FOLDER/log and /secrets")
    parser.add_argument("--events", type=int, metavar="N", help="end the log after so many")
    options = parser.parse_args()
    cheats = evolve(Cheats(), share=options.cheats)
    population = Population(options.members, options.days, options.seed, cheats=cheats)
    began = time.perf_counter()
    if options.log:
        events = write(population, options.log, options.events)
        _print(f"{events:,} events in {time.perf_counter() - began:.0f} s")
        return
    measured = measure(population, _say if sys.stderr.isatty() else None)
    for line in report(measured):
        _print(line)
    _print(f"{time.perf_counter() - began:.0f} s")
    if options.findings:
        found = sorted(measured.honest, key=lambda one: (one.grade < CASE, one.detector))
        options.findings.write_text("".join(told(measured, one) + "\n" for one in found))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def _say(line: str) -> None:
    sys.stderr.write(f"\r{line}  ")


main()
