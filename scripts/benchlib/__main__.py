"""Measures our tracker and opentracker under the same load: scripts/bench udp|http|log|api.

Rounds alternate between the servers; medians and their ratio are printed. `log` measures the cost
of the event log without load from outside, `api` the cost to announces of listing all torrents.
This module is the benchmark's composition root: options, turns, clean-up. Exit status 0: measured;
1: a server failed or gave wrong answers; 2: nothing can be measured here.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchlib import apibench, logbench, machine, report
from benchlib.load import (
    ROOT,
    Generator,
    LoadError,
    NoCompilerError,
    Population,
    Result,
    Target,
    compile_loadgen,
)
from benchlib.servers import ServerError, opentracker, opentracker_command, tracker

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

PAGE = ROOT / "docs" / "performance.md"
QUIET_PATIENCE = 8.0  # seconds to wait for idle cores before a timed phase
SERVERS = ("tracker", "opentracker")


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupted)  # so that `finally` stops servers and removes files
    options = _parse(sys.argv[1:])
    binary = Path()
    try:
        if options.protocol != "log":
            binary = compile_loadgen()
    except NoCompilerError:
        _say("bench: cc is required (the load generator is C): install a C compiler.")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.tmp))
    try:
        folder.chmod(0o755)
        if options.protocol == "log":
            return _bench_log(options, folder)
        if options.protocol == "api":
            return _bench_api(options, binary, folder)
        return _bench(options, binary, folder)
    except (ServerError, LoadError, logbench.PartError) as failure:
        _say(f"bench: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    parser.add_argument("protocol", choices=("udp", "http", "log", "api"))
    parser.add_argument("--only", choices=SERVERS, help="measure this server alone")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (3)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each timed phase (5)")
    parser.add_argument("--in-flight", type=_levels, help="e.g. 16,256 (udp 256, http 64, api 16)")
    parser.add_argument("--torrents", type=int, default=10_000)
    parser.add_argument("--peers", type=int, default=200_000)
    parser.add_argument("--addresses", type=int, default=250, help="of the peers (250)")
    parser.add_argument("--numwant", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--reconnect",
        type=float,
        default=60.0,
        help="age of a UDP connection id; 0: one per request",
    )
    parser.add_argument("--events", type=int, default=1_000_000, help="in the log (log only)")
    parser.add_argument("--tmp", default=tempfile.gettempdir(), help="where the event log goes")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args(arguments)
    options.in_flight = options.in_flight or [{"udp": 256, "api": 16}.get(options.protocol, 64)]
    return options


def _levels(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _bench(options: argparse.Namespace, binary: Path, folder: Path) -> int:
    facts = machine.describe(folder)
    for name, value in facts.items():
        _say(f"{name + ':':14}{value}")
    servers = _servers(options.only)
    if not servers:
        return 2
    if not machine.two_cores():
        _say("bench: cores 0 and 1 are not both ours: nothing is pinned, figures will be lower.")
    _say(f"{report.HEAD}\n{report.RULE}")
    generator = _generator(options, binary)
    runs = [
        _turn(options, generator, folder / f"{number}-{server}", server, number)
        for number in range(1, options.rounds + 1)
        for server in servers
    ]
    _say("\n".join(["", *report.summary(runs)]))
    if options.write:
        _write(options, report.block(_command(), facts, runs))
    return _verdict(runs)


def _bench_log(options: argparse.Namespace, folder: Path) -> int:
    facts = machine.describe(folder)
    rounds, lines = logbench.bench(options, folder, _say)
    _say("\n".join(["", *lines]))
    if options.write:
        _write(options, logbench.block(_command(), facts, rounds, lines))
    return 0


def _bench_api(options: argparse.Namespace, binary: Path, folder: Path) -> int:
    facts = machine.describe(folder)
    generator = _generator(options, binary)
    turns = apibench.bench(options, generator, folder, machine.two_cores(), _say)
    _say("\n".join(["", *apibench.summary(turns, options.torrents)]))
    if options.write:
        _write(options, apibench.block(_command(), facts, turns, options.torrents))
    return int(any(turn.result.errors for turn in turns))


def _servers(only: str | None) -> list[str]:
    wanted = [only] if only else list(SERVERS)
    if "opentracker" in wanted and opentracker_command() is None:
        _say("bench: opentracker is not installed: measuring without it, no ratio.")
        wanted.remove("opentracker")
    return wanted


def _generator(options: argparse.Namespace, binary: Path) -> Generator:
    population = Population(
        options.torrents, options.peers, options.addresses, options.numwant, options.seed
    )
    return Generator(binary, population, 1 if machine.two_cores() else None, options.reconnect)


def _turn(
    options: argparse.Namespace, generator: Generator, folder: Path, server: str, number: int
) -> report.Run:
    """Runs one server's turn: start, fill, timed phases, stop; removes its files."""
    folder.mkdir()
    try:
        with _start(server, generator, folder) as target:
            fill = generator.fill(target)
            timed = tuple(_timed(options, generator, target, n) for n in options.in_flight)
            resident = _resident(target.pid)
        log = _folder_bytes(folder / "log") if server == "tracker" else None
        run = report.Run(server, number, fill, timed, resident, log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for result in timed:
        _say(report.row(run, result))
    return run


def _start(server: str, generator: Generator, folder: Path) -> AbstractContextManager[Target]:
    pinned = machine.two_cores()
    if server == "tracker":
        return tracker(folder, pinned)
    return opentracker(folder, generator.hashes(), pinned)


def _timed(
    options: argparse.Namespace, generator: Generator, target: Target, in_flight: int
) -> Result:
    machine.wait_quiet(QUIET_PATIENCE)
    return generator.timed(options.protocol, target, in_flight, options.seconds)


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.evl") if path.is_file())


def _command() -> str:
    return " ".join(["scripts/bench", *(a for a in sys.argv[1:] if a != "--write")])


def _write(options: argparse.Namespace, text: str) -> None:
    PAGE.write_text(report.replace_block(PAGE.read_text(), options.protocol, text))
    _say(f"written to {PAGE.relative_to(ROOT)}")


def _verdict(runs: list[report.Run]) -> int:
    """Returns 1 if an answer was wrong or our event log stayed empty.

    Lost datagrams do not count, because the kernel may drop them.
    """
    complaints = [
        f"{run.server}: {result.errors} wrong answers, first: {result.first_error}"
        for run in runs
        for result in (run.fill, *run.timed)
        if result.errors
    ]
    complaints += ["the tracker wrote no event log" for run in runs if run.log_bytes == 0]
    for complaint in complaints:
        _say(f"bench: {complaint}")
    return int(bool(complaints))


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
