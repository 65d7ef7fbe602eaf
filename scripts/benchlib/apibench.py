"""Measures the API and announces under the load of each other.

UDP announces run alone; then while the API lists every torrent again and again; then at full load
while an administrator writes events one by one, each answered once it is durable. The three take
turns on one tracker, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import secrets
import statistics
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from benchlib.load import UDP, LoadError
from benchlib.servers import TOKEN, tracker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchlib.load import Generator, Result

CHUNK = 1 << 16
FULL_LOAD = 256  # requests in flight
HEAD = "| Round | Beside | In flight | Answers/s | Server CPU | p50 ms | p99 ms | max ms | What that did | Errors |"
RULE = "|---" * 10 + "|"


@dataclass(slots=True)
class Listing:
    """Reads the whole list again and again as a client, in its own thread."""

    port: int
    limit: int
    received: int = 0  # bytes
    failure: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def begun(self) -> bool:
        return bool(self.received)

    def did(self) -> str:
        return f"{self.received / 1e6:,.0f} MB"

    def once(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", f"/api/v1/torrents?token={TOKEN}&limit={self.limit}")
            response = connection.getresponse()
            if response.status != 200:
                raise LoadError(f"the listing was answered with {response.status}")
            while not self.stop.is_set() and (chunk := response.read(CHUNK)):
                self.received += len(chunk)
        finally:
            connection.close()


@dataclass(slots=True)
class Writing:
    """Whitelists torrents one by one, as an administrator's client does."""

    port: int
    waits_ms: list[float] = field(default_factory=list)
    failure: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def begun(self) -> bool:
        return bool(self.waits_ms)

    @property
    def p99_ms(self) -> float:
        return sorted(self.waits_ms)[len(self.waits_ms) * 99 // 100]

    def did(self) -> str:
        p50 = statistics.median(self.waits_ms)
        return f"{len(self.waits_ms)} writes: p50 {p50:.1f}, p99 {self.p99_ms:.1f}, max {max(self.waits_ms):.1f} ms"

    def once(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            while not self.stop.is_set():
                began = time.perf_counter()
                path = f"/api/v1/whitelist/{secrets.token_hex(20)}?token={TOKEN}"
                connection.request("POST", path)
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    raise LoadError(f"the write was answered with {response.status}")
                self.waits_ms.append((time.perf_counter() - began) * 1000)
        finally:
            connection.close()


def _again_and_again(beside: Listing | Writing) -> None:
    try:
        while not beside.stop.is_set():
            beside.once()
    except (OSError, HTTPException, LoadError) as error:
        beside.failure = repr(error)


@dataclass(frozen=True, slots=True)
class Turn:
    round: int
    result: Result
    beside: Listing | Writing | None


def bench(
    options: argparse.Namespace,
    generator: Generator,
    folder: Path,
    core: int | None,
    say: Callable[[str], None],
) -> list[Turn]:
    """Runs all rounds; returns their turns. Raises ServerError, LoadError."""
    turns = []
    with tracker(folder, core) as target:
        generator.fill(target)
        say(f"{HEAD}\n{RULE}")
        for number in range(1, options.rounds + 1):
            for beside in (
                None,
                Listing(target.api_port, options.torrents),
                Writing(target.api_port),
            ):
                level = FULL_LOAD if isinstance(beside, Writing) else options.in_flight[0]
                with _running(beside):
                    result = generator.timed(UDP, target, level, options.seconds)
                turns.append(Turn(number, result, beside))
                say(row(turns[-1]))
    return turns


@contextmanager
def _running(beside: Listing | Writing | None) -> Iterator[None]:
    if beside is None:
        yield
        return
    thread = threading.Thread(target=_again_and_again, args=(beside,))
    thread.start()
    try:
        while not beside.begun and not beside.failure:
            time.sleep(0.01)
        yield
    finally:
        beside.stop.set()
        thread.join()
    if beside.failure:
        raise LoadError(f"what went on beside the announces failed: {beside.failure}")


def _name(beside: Listing | Writing | None) -> str:
    return {Listing: "listing", Writing: "writes"}.get(type(beside), "")


def row(turn: Turn) -> str:
    result = turn.result
    cells = [
        *(str(turn.round), _name(turn.beside), str(result.in_flight)),
        *(f"{result.rate:,.0f}", f"{result.server_cpu:.0%}", f"{result.p50_ms:.2f}"),
        *(f"{result.p99_ms:.2f}", f"{result.max_ms:.1f}"),
        turn.beside.did() if turn.beside else "",
        str(result.errors),
    ]
    return "| " + " | ".join(cells) + " |"


def summary(turns: Sequence[Turn], torrents: int) -> list[str]:
    lines = []
    for kind, name in (("", "alone"), ("listing", f"while {torrents:,} torrents are listed")):
        results = [turn.result for turn in turns if _name(turn.beside) == kind]
        p50 = statistics.median(result.p50_ms for result in results)
        p99 = statistics.median(result.p99_ms for result in results)
        worst = max(result.max_ms for result in results)
        rate = statistics.median(result.rate for result in results)
        lines.append(
            f"- {name}: median of p50 {p50:.2f} ms, of p99 **{p99:.2f} ms**, longest {worst:.1f} ms; "
            f"{rate:,.0f} answers/s"
        )
    writes = [turn for turn in turns if isinstance(turn.beside, Writing)]
    p99s = [turn.beside.p99_ms for turn in writes if isinstance(turn.beside, Writing)]
    rate = statistics.median(turn.result.rate for turn in writes)
    lines.append(
        f"- writes while announces run at full load ({rate:,.0f} answers/s): "
        f"median of p99 **{statistics.median(p99s):.1f} ms** until the event is durable and answered"
    )
    return lines


def block(command: str, facts: dict[str, str], turns: Sequence[Turn], torrents: int) -> str:
    """Returns the Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items())
    rows = [row(turn) for turn in turns]
    lines = summary(turns, torrents)
    return "\n".join([f"`{command}`", "", named, "", HEAD, RULE, *rows, "", *lines])
