"""Floods UDP and HTTP together, and measures how long others wait meanwhile.

The others are clients that ask by the clock, each request over a connection of its own: the health
check, an administrator who reads, and one who writes and is answered once the change is durable.
Each turn has a tracker that has just started with the swarms from its log, so that its longest
stall is one of the flood.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from benchlib.load import UDP, Load, LoadError
from benchlib.servers import TOKEN, longest_stall, tracker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchlib.load import Generator, Result, Target
    from benchlib.machine import Cores

IN_FLIGHT = {"udp": 256, "http": 64}
A_SECOND = 20  # requests of each client
NICE = 10  # of the generators, so that the clients on their core measure the server and not them
SETTLING = 0.5  # seconds of the flood before the clients begin
HEAD = "| Round | HTTP | UDP answers/s | HTTP answers/s | Server CPU | Health check ms | Read ms | Write ms | Longest stall ms | Requests | Errors |"
RULE = "|---" * 11 + "|"


@dataclass(slots=True)
class Client:
    """Asks the same thing again and again by the clock, and keeps how long each answer took."""

    name: str
    port: int
    method: str
    path: str
    waits_ms: list[float] = field(default_factory=list)
    failure: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, core: int | None) -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})  # of this thread
        due = free = time.perf_counter()
        try:
            while not self.stop.wait(max(0.0, due - time.perf_counter())):
                # A request that had to wait for the one before counts from when it was due.
                began = due if free > due else time.perf_counter()
                self._ask()
                free = time.perf_counter()
                self.waits_ms.append((free - began) * 1000)
                due += 1 / A_SECOND
        except (OSError, HTTPException, LoadError) as error:
            self.failure = f"{self.name}: {error!r}"

    def _ask(self) -> None:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            path = self.path.replace("NEW", secrets.token_hex(20))
            connection.request(self.method, path, headers={"Authorization": f"Bearer {TOKEN}"})
            response = connection.getresponse()
            text = response.read()
        if response.status != 200 or b'"Err"' in text:
            raise LoadError(f"status {response.status}: {text[:200]!r}")

    @property
    def figures(self) -> tuple[float, float, float]:
        """p50, p99 and the longest."""
        waits = sorted(self.waits_ms)
        return statistics.median(waits), waits[len(waits) * 99 // 100], waits[-1]


@dataclass(frozen=True, slots=True)
class Turn:
    round: int
    http: str
    results: tuple[Result, Result]
    clients: tuple[Client, ...]
    stall_ms: float


def bench(
    options: argparse.Namespace,
    generator: Generator,
    folder: Path,
    cores: Cores,
    say: Callable[[str], None],
) -> list[Turn]:
    """Runs all rounds; returns their turns. Raises ServerError, LoadError."""
    turns = []
    with tracker(folder, cores.server) as target:
        generator.fill(target)
    say(f"{HEAD}\n{RULE}")
    for number in range(1, options.rounds + 1):
        for load in (Load("http", keep_alive=True), Load("http")):
            with tracker(folder, cores.server) as target:
                turns.append(_turn(number, load, target, options.seconds, generator))
            say(row(turns[-1]))
    return turns


def _turn(number: int, http: Load, target: Target, seconds: float, generator: Generator) -> Turn:
    nice = dataclasses.replace(generator, nice=NICE)
    clients = (
        Client("health check", target.health_port, "GET", "/health_check"),
        Client("read", target.api_port, "GET", "/api/v1/stats"),
        Client("write", target.api_port, "POST", "/api/v1/whitelist/NEW"),
    )
    with ThreadPoolExecutor(5) as pool:
        floods = [
            pool.submit(nice.timed, load, target, IN_FLIGHT[load.protocol], seconds)
            for load in (UDP, http)
        ]
        try:
            time.sleep(SETTLING)
            asking = [pool.submit(client.run, generator.core) for client in clients]
            time.sleep(max(0.0, seconds - 2 * SETTLING))
        finally:
            for client in clients:
                client.stop.set()
        for done in asking:
            done.result()
        udp, over_http = (flood.result() for flood in floods)
    for client in clients:
        if client.failure or not client.waits_ms:
            raise LoadError(client.failure or f"{client.name}: nothing was asked")
    kind = "kept alive" if http.keep_alive else "fresh connections"
    return Turn(number, kind, (udp, over_http), clients, longest_stall(target) * 1000)


def row(turn: Turn) -> str:
    udp, http = turn.results
    cells = [
        *(str(turn.round), turn.http, f"{udp.rate:,.0f}", f"{http.rate:,.0f}"),
        f"{udp.server_cpu:.0%}",
        *(" / ".join(f"{one:.1f}" for one in client.figures) for client in turn.clients),
        f"{turn.stall_ms:.1f}",
        str(sum(len(client.waits_ms) for client in turn.clients)),
        str(udp.errors + http.errors),
    ]
    return "| " + " | ".join(cells) + " |"


def summary(turns: Sequence[Turn]) -> list[str]:
    lines = ["Waits are p50 / p99 / longest.", ""]
    for kind in dict.fromkeys(turn.http for turn in turns):
        own = [turn for turn in turns if turn.http == kind]
        p99s = [
            f"{clients[0].name} **{statistics.median(client.figures[1] for client in clients):.1f} ms**"
            for clients in zip(*(turn.clients for turn in own), strict=True)
        ]
        stalls = [turn.stall_ms for turn in own]
        lines.append(
            f"- HTTP with {kind}: medians of p99: {', '.join(p99s)}; longest stall: "
            f"median **{statistics.median(stalls):.1f} ms**, worst {max(stalls):.1f} ms"
        )
    return lines


def block(command: str, facts: dict[str, str], turns: Sequence[Turn]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items())
    return "\n".join(
        [f"`{command}`", "", named, "", HEAD, RULE, *map(row, turns), "", *summary(turns)]
    )
