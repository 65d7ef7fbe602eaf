"""Compiles the load generator from scripts/loadgen.c when its source changed, and runs it once a phase.

Knows the generator's options and its line of JSON; nothing of the servers or the report.
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
FILL_LIMIT = 180.0  # seconds; a server that fills at a thousand peers a second is given up

# Share of a measured core from which other processes disturb a run.
DISTURBED = 0.05


class NoCompilerError(Exception):
    """There is no C compiler, so there is no load."""


class LoadError(Exception):
    """The generator could not finish; the message says why."""


@dataclass(frozen=True, slots=True)
class Population:
    """Swarms and peers; the same numbers give the same hashes, addresses and mix of requests."""

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
    """A running server: its ports, process id and core."""

    udp_port: int
    http_port: int
    pid: int
    core: int

    def options(self, protocol: Protocol) -> list[str]:
        port = self.udp_port if protocol == "udp" else self.http_port
        return ["--port", str(port), "--pid", str(self.pid), "--server-core", str(self.core)]


@dataclass(frozen=True, slots=True)
class Result:
    """One phase as loadgen reports it. Rates a second, times in ms, CPU as shares of one core."""

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
        """The generator's core was full while the server's was not: the rate is a lower bound."""
        return self.generator_cpu > 0.95 and self.server_core_idle > 0.05

    @property
    def microseconds(self) -> float:
        """Server CPU (user and system, no interrupts) an answer."""
        return self.server_cpu * self.seconds * 1e6 / max(1, self.answered)


def compile_loadgen() -> Path:
    """Compiles the generator into build/, under its source's digest, if it is not there. Raises NoCompilerError."""
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
    """The compiled generator, the population it plays and the core it runs on (None: any)."""

    binary: Path
    population: Population
    core: int | None
    reconnect: float

    def hashes(self) -> str:
        """Returns the population's info hashes in hex, one a line."""
        return self._run(["hashes"], 60)

    def fill(self, target: Target) -> Result:
        """Announces every peer once, over UDP: both protocols share the swarms."""
        options = ["udp", *target.options("udp"), "--in-flight", "128", "--fill"]
        return self._measure(options, FILL_LIMIT)

    def timed(self, protocol: Protocol, target: Target, in_flight: int, seconds: float) -> Result:
        options = [protocol, *target.options(protocol), "--in-flight", str(in_flight)]
        # Most of a connection's cost is the client's: without this the generator would be the limit.
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
