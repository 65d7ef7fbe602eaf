"""Describes a load and a population, runs the load generator, and reads its line of JSON.

It knows the generator's options, and nothing of servers or the report.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Protocol = Literal["udp", "http"]

FILL_LIMIT = 180.0  # seconds until a fill fails; a thousand peers a second is too slow
FILL_IN_FLIGHT = 128

# Share of a measured core at which other processes make a run count as disturbed.
DISTURBED = 0.05


class LoadError(Exception):
    """The generator could not finish; the message has the reason."""


@dataclass(frozen=True, slots=True)
class Load:
    """Says what the clients do: their protocol, who they are, and how they use connections."""

    protocol: Protocol
    new: bool = False  # first announces
    ipv6: bool = False
    private: bool = False
    keep_alive: bool = False
    tls: bool = False
    resume: bool = False  # TLS sessions
    receivers: int = 1  # threads with which our tracker receives; 1 = none

    @property
    def needs(self) -> frozenset[str]:
        """What a server has to be able to do for this load."""
        keys = "private" if self.protocol == "http" else "keys over UDP"
        kinds = {"ipv6": self.ipv6, keys: self.private, "tls": self.tls}
        return frozenset([self.protocol, *(name for name, on in kinds.items() if on)])

    def name(self) -> str:
        """The name of its block in docs/performance.md, for example `http-tls-keep-alive`."""
        flags = ("new", "ipv6", "private", "tls", "keep_alive", "resume")
        on = [flag.replace("_", "-") for flag in flags if getattr(self, flag)]
        if self.receivers > 1:
            on.append(f"receivers-{self.receivers}")
        return "-".join([self.protocol, *on])

    def options(self) -> list[str]:
        flags = ("new", "ipv6", "keep_alive", "tls", "resume")
        return [f"--{flag.replace('_', '-')}" for flag in flags if getattr(self, flag)]


UDP = Load("udp")


@dataclass(frozen=True, slots=True)
class Population:
    """Holds the size of swarms and peers; the same numbers give the same hashes and requests."""

    torrents: int
    peers: int
    addresses: int
    numwant: int
    seed: int
    accounts: int  # of private mode, each with a key

    def options(self) -> list[str]:
        return [
            *("--torrents", str(self.torrents), "--peers", str(self.peers)),
            *("--addresses", str(self.addresses), "--numwant", str(self.numwant)),
            *("--seed", str(self.seed)),
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """Holds a running server's ports (0: none), process id and core."""

    udp_port: int
    http_port: int
    pid: int
    core: int
    api_port: int = 0
    health_port: int = 0
    console_port: int = 0

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
    first_announces: int  # in a load of new peers
    scrapes: int
    connects: int  # connection ids
    connections: int  # of TCP
    resumed: int  # TLS sessions
    errors: int
    connection_id_errors: int
    first_error: str
    retransmits: int
    lost: int
    late: int  # second answers, and those of requests that were given up
    own_drops: int  # answers that the kernel dropped because the generator was slow
    open_at_end: int
    behind: float  # requests that were due and not sent
    peers_per_answer: float
    self_listed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
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


@dataclass(frozen=True, slots=True)
class Generator:
    """Runs the compiled generator with a population on one core (None: any)."""

    binary: Path
    population: Population
    core: int | None
    reconnect: float
    nice: int = 0  # lower priority than others on its core

    def hashes(self) -> list[str]:
        """Returns the population's info hashes in hexadecimal."""
        return self._run(["hashes"], 60).split()

    def keys(self) -> list[str]:
        """Returns the keys of the population's accounts."""
        return self._run(["keys", "--accounts", str(self.population.accounts)], 60).split()

    def fill(self, target: Target, load: Load = UDP) -> Result:
        """Announces every peer once: over UDP where the server has it, because that is quickest,
        but with keys only where the load has them there too.
        """
        over_udp = Load("udp", ipv6=load.ipv6, private=load.private)
        over_http = Load("http", False, load.ipv6, load.private, keep_alive=True, tls=load.tls)
        with_udp = target.udp_port and (load.protocol == "udp" or not load.private)
        how = over_udp if with_udp else over_http
        options = ["--in-flight", str(FILL_IN_FLIGHT), "--fill"]
        return self._measure(how, target, options, FILL_LIMIT)

    def timed(
        self, load: Load, target: Target, in_flight: int, seconds: float, first: int = 0
    ) -> Result:
        """Keeps requests open. Of new peers the one with the number `first` comes first."""
        options = ["--in-flight", str(in_flight), "--seconds", str(seconds), "--first", str(first)]
        return self._measure(load, target, options, seconds + 30)

    def paced(
        self, load: Load, target: Target, rate: float, seconds: float, first: int = 0
    ) -> Result:
        """Sends requests by the clock, so many a second, whatever the server does."""
        options = ["--rate", f"{rate:.0f}", "--seconds", str(seconds), "--first", str(first)]
        return self._measure(load, target, options, seconds + 30)

    def _measure(self, load: Load, target: Target, options: list[str], limit: float) -> Result:
        accounts = ["--accounts", str(self.population.accounts)] if load.private else []
        what = [load.protocol, *load.options(), *target.options(load.protocol)]
        result = Result(**json.loads(self._run([*what, *options, *accounts], limit)))
        if result.silent:
            raise LoadError(f"the server fell silent: {result}")
        return result

    def _run(self, options: list[str], limit: float) -> str:
        pin = [] if self.core is None else ["taskset", "-c", str(self.core)]
        extra = [*self.population.options(), "--reconnect", str(self.reconnect)]
        command = ["nice", f"-n{self.nice}", *pin, str(self.binary), *options, *extra]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise LoadError(f"not done after {limit:.0f} s: {' '.join(command)}") from late
        if not done.stdout:
            raise LoadError(done.stderr.strip() or f"loadgen exit {done.returncode}")
        return done.stdout
