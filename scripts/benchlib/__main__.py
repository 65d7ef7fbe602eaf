"""Measures our tracker and others under the same load: scripts/bench LOAD (options.py lists them).

This module is the benchmark's composition root: options, which benchmark, clean-up.
"""

from __future__ import annotations

import dataclasses
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchlib import (
    apibench,
    auditbench,
    clickbench,
    floodbench,
    listsbench,
    logbench,
    machine,
    memorybench,
    pagesbench,
    report,
    rivals,
)
from benchlib.compiler import ROOT, CompilerError, compile_loadgen
from benchlib.load import Generator, LoadError, Population
from benchlib.loadbench import Bench, contenders
from benchlib.options import parse
from benchlib.processes import ServerError

if TYPE_CHECKING:
    import argparse

PAGE = ROOT / "docs" / "performance.md"
CONSOLE = ROOT / "docs" / "console.md"


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupted)  # so that `finally` stops servers and removes files
    options = parse(sys.argv[1:], str(PAGE.relative_to(ROOT)))
    try:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.tmp))
    except OSError as error:
        _say(f"bench: no folder for the event log: {error}; name another one with --tmp")
        return 2
    try:
        folder.chmod(0o755)
        own = {
            "log": _bench_log,
            "api": _bench_api,
            "memory": _bench_memory,
            "flood": _bench_flood,
            "audit": _bench_audit,
            "lists": _bench_lists,
            "clicks": _bench_clicks,
            "pages": _bench_pages,
        }
        bench = own.get(options.what, _bench_load)
        return bench(options, folder)
    except CompilerError as failure:
        _say(f"bench: {failure}")
        return 2
    except (
        ServerError, LoadError, auditbench.PartError, logbench.PartError, memorybench.MemoryPartError,
        report.NoMarkersError,
    ) as failure:  # fmt: skip
        _say(f"bench: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bench_load(options: argparse.Namespace, folder: Path) -> int:
    generator, cores = _generator(options), machine.choose_cores()
    compared = contenders(options, _say)
    facts = machine.describe(folder, [one.server for one in compared])
    for name, value in facts.items():
        _say(f"{name + ':':14}{value}")
    if cores.warning:
        _say(f"bench: {cores.warning}")
    if not compared:
        _say("bench: there is no server that can be measured.")
        return 2
    certificate = rivals.make_certificate(folder) if options.tls else ""
    runs = Bench(options, generator, folder, cores, certificate, _say).rounds(compared)
    _say("\n".join(["", *report.summary(runs)]))
    if options.write:
        _write(options, options.load.name(), report.block(_command(), facts, runs))
    complaints = report.complaints(runs)
    for complaint in complaints:
        _say(f"bench: {complaint}")
    return int(bool(complaints))


def _bench_log(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    rounds, lines = logbench.bench(options, folder, _say)
    _say("\n".join(["", *lines]))
    if options.write:
        _write(options, "log", logbench.block(_command(), facts, rounds, lines))
    return 0


def _bench_api(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    cores = machine.choose_cores()
    turns = apibench.bench(options, _generator(options), folder, cores.server, _say)
    _say("\n".join(["", *apibench.summary(turns, options.torrents)]))
    if options.write:
        _write(options, "api", apibench.block(_command(), facts, turns, options.torrents))
    return int(any(turn.result.errors for turn in turns))


def _bench_flood(options: argparse.Namespace, folder: Path) -> int:
    facts, cores = machine.describe(folder), machine.choose_cores()
    if cores.warning:
        _say(f"bench: {cores.warning}")
    turns = floodbench.bench(options, _generator(options), folder, cores, _say)
    _say("\n".join(["", *floodbench.summary(turns)]))
    if options.write:
        _write(options, "flood", floodbench.block(_command(), facts, turns))
    return int(any(result.errors for turn in turns for result in turn.results))


def _bench_memory(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    lines = memorybench.bench(options.sizes, _say)
    if options.write:
        _write(options, "memory", memorybench.block(_command(), facts, lines))
    return 0


def _bench_audit(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    lines = auditbench.bench(options.events, folder, _say)
    if options.write:
        _write(options, "audit", memorybench.block(_command(), facts, lines))
    return 0


def _bench_lists(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    lines = listsbench.bench(folder, _say)
    if options.write:
        _write(options, "lists", memorybench.block(_command(), facts, lines))
    return 0


def _bench_clicks(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    generator = dataclasses.replace(_generator(options), core=None)
    turns = clickbench.bench(options, generator, folder, _say)
    _say("\n".join(["", *clickbench.summary(turns)]))
    if options.write:
        _write(options, "clicks", clickbench.block(_command(), facts, turns))
    return int(any(turn.errors for turn in turns))


def _bench_pages(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    lines = pagesbench.bench(options.events, options.log, folder, _say)
    if options.write:
        _write(options, "pages", pagesbench.block(_command(), facts, lines), CONSOLE)
    return 0


def _generator(options: argparse.Namespace) -> Generator:
    population = Population(
        *(options.torrents, options.peers, options.addresses),
        *(options.numwant, options.seed, options.accounts),
    )
    binary = compile_loadgen(options.tls)
    return Generator(binary, population, machine.choose_cores().generator, options.reconnect)


def _command() -> str:
    return " ".join(["scripts/bench", *(a for a in sys.argv[1:] if a != "--write")])


def _write(options: argparse.Namespace, name: str, text: str, page: Path = PAGE) -> None:
    name += "-rate" if options.rate else ""
    page.write_text(report.replace_block(page.read_text(), name, text))
    _say(f"written to {page.relative_to(ROOT)}")


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
