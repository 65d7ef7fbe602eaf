"""Runs the rounds of scripts/bench udp and http: in each, every server has a turn."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchlib import machine, report, rivals, servers
from benchlib.options import OURS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benchlib.load import Generator, Load, Result, Target

QUIET_PATIENCE = 8.0  # seconds to wait for idle cores before a timed phase
ONE_RECEIVER = "tracker, one receiver"  # beside one with several
PUBLIC = "tracker, public"  # our tracker in public mode, beside private mode


@dataclass(frozen=True, slots=True)
class Contender:
    """Takes part in the rounds: a server, and its load, which is the same for all but one."""

    name: str
    server: str
    load: Load


@dataclass(frozen=True, slots=True)
class Bench:
    """Holds what all turns have in common."""

    options: argparse.Namespace
    generator: Generator
    folder: Path
    cores: machine.Cores
    certificate: str  # see rivals.Place
    say: Callable[[str], None]

    def rounds(self, contenders: list[Contender]) -> list[report.Run]:
        """Runs all rounds. Raises ServerError, LoadError."""
        self.say(f"{report.HEAD}\n{report.RULE}")
        return [
            self._turn(contender, number)
            for number in range(1, self.options.rounds + 1)
            for contender in contenders
        ]

    def _turn(self, contender: Contender, number: int) -> report.Run:
        """Runs one server's turn: start, fill, timed phases, stop; removes its files."""
        place = self.folder / "turn"
        place.mkdir()
        try:
            with self._serving(contender, place) as target:
                if target.api_port and contender.load.private:
                    servers.issue_keys(target, self.generator.keys())
                fill = None if contender.load.new else self.generator.fill(target, contender.load)
                timed = tuple(self._phases(contender.load, target))
                resident = _resident(target.pid)
            log = _folder_bytes(place / "log") if contender.server == OURS else None
            run = report.Run(contender.name, number, fill, timed, resident, log)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        for phase in timed:
            self.say(report.row(run, phase))
        return run

    def _serving(self, contender: Contender, folder: Path) -> AbstractContextManager[Target]:
        if contender.server == OURS:
            more = self.cores.others if contender.load.receivers > 1 else ()
            return servers.tracker(
                folder, self.cores.server, contender.load, self.certificate, more
            )
        return rivals.serving(
            rivals.RIVALS[contender.server],
            rivals.Place(
                folder,
                contender.load,
                self.generator.hashes(),
                self.generator.keys(),
                self.certificate,
                self.cores.server,
            ),
        )

    def _phases(self, load: Load, target: Target) -> Iterator[report.Phase]:
        """Runs the phases with requests always open, then the one by the clock."""
        generator, seconds, first, highest = self.generator, self.options.seconds, 0, 0.0
        for level in self.options.in_flight:
            timed = partial(generator.timed, load, target, level, seconds, first)
            phase = _phase(target, f"{level} open", timed, paced=False)
            first += phase.result.first_announces
            highest = max(highest, phase.result.rate)
            yield phase
        if pace := self.options.rate:
            paced = partial(generator.paced, load, target, pace.of(highest), seconds, first)
            yield _phase(target, str(pace), paced, paced=True)


def _phase(target: Target, level: str, run: Callable[[], Result], *, paced: bool) -> report.Phase:
    machine.wait_quiet(QUIET_PATIENCE)
    before = machine.kernel_drops(target.udp_port)
    threads = machine.thread_seconds(target.pid)
    result = run()
    spent = {
        kind: (user - threads[kind][0], system - threads[kind][1])
        for kind, (user, system) in machine.thread_seconds(target.pid).items()
    }
    dropped = machine.kernel_drops(target.udp_port) - before
    metric = servers.dropped_by_metric(target) if target.api_port else None
    agrees = metric in (None, before + dropped)
    return report.Phase(level, result, paced, dropped, agrees, spent)


def contenders(options: argparse.Namespace, say: Callable[[str], None]) -> list[Contender]:
    """Returns who takes part: our tracker, and those of the others that are here and can do it."""
    found = []
    for name in options.only or (OURS, *rivals.RIVALS):
        rival = rivals.RIVALS.get(name)
        if rival and not options.load.needs <= rival.can:
            lacking = ", ".join(sorted(options.load.needs - rival.can))
            say(f"{name}: not measured, because it has no {lacking}.")
        elif rival and rival.command() is None:
            say(f"{name}: not measured, because it is not on the PATH.")
        else:
            found.append(Contender(name, name, options.load))
    if options.load.private and any(one.name == OURS for one in found):
        found.append(Contender(PUBLIC, OURS, replace(options.load, private=False)))
    if options.load.receivers > 1 and any(one.name == OURS for one in found):
        found.append(Contender(ONE_RECEIVER, OURS, replace(options.load, receivers=1)))
    return found


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.evl") if path.is_file())
