"""Compiles the load generator scripts/loadgen.c when it changed, and runs it for each phase.

It knows the generator's options and its line of JSON, and nothing of servers or the report.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Protocol = Literal["udp", "http"]

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "scripts" / "loadgen.c"
FILL_LIMIT = 180.0  # seconds until a fill fails; a thousand peers a second is too slow

# Share of a measured core at which other processes make a run count as disturbed.
DISTURBED = 0.05


class NoCompilerError(Exception):
    """No C compiler is installed, so no load can be made."""


class LoadError(Exception):
    """The generator could not finish; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Population:
    """Holds the size of swarms and peers; the same numbers give the same hashes and requests."""

    torrents: int
    peers: int
    addresses: int
    numwant: int
    seed: int

    def options(self) -> list[str]:
        return [
            *("--torrents", str(self.torrents), "--peers", str(self.peers)),
            *("--addresses", str(self.addresses), "--numwant", str(self.numwant)),
            *("--seed", str(self.seed)),
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """Holds a running server's ports, process id and core."""

    udp_port: int
    http_port: int
    pid: int
    core: int

    def options(self, protocol: Protocol) -> list[str]:
        port = self.udp_port if protocol == "udp" else self.http_port
        return ["--port", str(port), "--pid", str(self.pid), "--server-core", str(self.core)]


@dataclass(frozen=True, slots=True)
class Result:
    """Holds loadgen's report of a phase: rates a second, times in ms, CPU as shares of a core."""

    protocol: str
    fill: bool
    in_flight: int
    seconds: float
    rate: float
    answered: int
    announces: int
    scrapes: int
    connects: int
    errors: int
    connection_id_errors: int
    first_error: str
    retransmits: int
    lost: int
    open_at_end: int
    stray: int
    peers_per_answer: float
    self_listed: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    generator_cpu: float
    server_cpu: float
    server_core_idle: float
    others_on_server_core: float
    others_on_generator_core: float
    steal: float
    silent: bool

    @property
    def disturbed(self) -> bool:
        worst = max(self.others_on_server_core, self.others_on_generator_core, self.steal)
        return worst > DISTURBED

    @property
    def generator_bound(self) -> bool:
        """True if the generator's core was full and the server's was not: a lower bound."""
        return self.generator_cpu > 0.95 and self.server_core_idle > 0.05

    @property
    def microseconds(self) -> float:
        """Server CPU an answer, in microseconds: user and system, no interrupts."""
        return self.server_cpu * self.seconds * 1e6 / max(1, self.answered)


def compile_loadgen() -> Path:
    """Returns the generator's binary in build/, named by its source's digest.

    Raises NoCompilerError when no C compiler is installed.
    """
    source = SOURCE.read_bytes()
    binary = ROOT / "build" / f"loadgen-{hashlib.sha256(source).hexdigest()[:12]}"
    if binary.exists():
        return binary
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompilerError
    binary.parent.mkdir(exist_ok=True)
    partial = binary.with_suffix(f".{os.getpid()}")
    command = [compiler, "-O2", "-Wall", "-o", str(partial), str(SOURCE)]
    subprocess.run(command, check=True)
    partial.rename(binary)
    return binary


@dataclass(frozen=True, slots=True)
class Generator:
    """Runs the compiled generator with a population on one core (None: any)."""

    binary: Path
    population: Population
    core: int | None
    reconnect: float

    def hashes(self) -> str:
        """Returns the population's info hashes in hexadecimal, one a line."""
        return self._run(["hashes"], 60)

    def fill(self, target: Target) -> Result:
        """Announces every peer once, over UDP, because both protocols share the swarms."""
        options = ["udp", *target.options("udp"), "--in-flight", "128", "--fill"]
        return self._measure(options, FILL_LIMIT)

    def timed(self, protocol: Protocol, target: Target, in_flight: int, seconds: float) -> Result:
        options = [protocol, *target.options(protocol), "--in-flight", str(in_flight)]
        # A connection costs its client most: without ballast the generator would be the limit.
        ballast = ["--ballast"] if protocol == "http" else []
        return self._measure([*options, *ballast, "--seconds", str(seconds)], seconds + 30)

    def _measure(self, options: list[str], limit: float) -> Result:
        result = Result(**json.loads(self._run(options, limit)))
        if result.silent:
            raise LoadError(f"the server fell silent: {result}")
        return result

    def _run(self, options: list[str], limit: float) -> str:
        pin = [] if self.core is None else ["taskset", "-c", str(self.core)]
        extra = [*self.population.options(), "--reconnect", str(self.reconnect)]
        command = [*pin, str(self.binary), *options, *extra]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise LoadError(f"not done after {limit:.0f} s: {' '.join(command)}") from late
        if not done.stdout:
            raise LoadError(done.stderr.strip() or f"loadgen exit {done.returncode}")
        return done.stdout
