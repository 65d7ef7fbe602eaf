"""What a long listing costs announces: UDP announces alone, and while the API lists every torrent again and again.

Rounds of both in turn on one tracker, so that a machine that slows down slows both.
"""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from benchlib.load import LoadError
from benchlib.servers import free_port, tracker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchlib.load import Generator, Result

TOKEN = "bench"  # noqa: S105  # of a tracker that lives for a minute
CHUNK = 1 << 16
CONFIG = """\
[http_api]
bind_address = "127.0.0.1:{port}"
access_tokens.admin = "{token}"
"""

HEAD = "| Round | Listing | In flight | Answers/s | Server CPU | p50 ms | p99 ms | max ms | Listed MB | Errors |"
RULE = "|---" * 10 + "|"


@dataclass(slots=True)
class Listing:
    """A client that reads the whole list again and again, in a thread of its own."""

    port: int
    limit: int
    received: int = 0  # bytes
    failure: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._once()
        except (OSError, HTTPException, LoadError) as error:
            self.failure = repr(error)

    def _once(self) -> None:
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


@dataclass(frozen=True, slots=True)
class Turn:
    round: int
    listing: bool
    result: Result
    listed: int  # bytes


def bench(
    options: argparse.Namespace,
    generator: Generator,
    folder: Path,
    pinned: bool,
    say: Callable[[str], None],
) -> list[Turn]:
    """Raises ServerError, LoadError."""
    port = free_port()
    turns = []
    with tracker(folder, pinned, CONFIG.format(port=port, token=TOKEN)) as target:
        generator.fill(target)
        say(f"{HEAD}\n{RULE}")
        for number in range(1, options.rounds + 1):
            for listed in (False, True):
                listing = Listing(port, options.torrents)
                with _beside(listing, listed):
                    level = options.in_flight[0]
                    result = generator.timed("udp", target, level, options.seconds)
                turns.append(Turn(number, listed, result, listing.received))
                say(row(turns[-1]))
    return turns


@contextmanager
def _beside(listing: Listing, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    thread = threading.Thread(target=listing.run)
    thread.start()
    try:
        while not listing.received and not listing.failure:
            time.sleep(0.01)
        yield
    finally:
        listing.stop.set()
        thread.join()
    if listing.failure:
        raise LoadError(f"the listing failed: {listing.failure}")


def row(turn: Turn) -> str:
    result = turn.result
    cells = [
        *(str(turn.round), "yes" if turn.listing else "no", str(result.in_flight)),
        *(f"{result.rate:,.0f}", f"{result.server_cpu:.0%}", f"{result.p50_ms:.2f}"),
        *(f"{result.p99_ms:.2f}", f"{result.max_ms:.1f}", f"{turn.listed / 1e6:,.0f}"),
        str(result.errors),
    ]
    return "| " + " | ".join(cells) + " |"


def summary(turns: Sequence[Turn], torrents: int) -> list[str]:
    lines = []
    for listing, name in ((False, "alone"), (True, f"while {torrents:,} torrents are listed")):
        results = [turn.result for turn in turns if turn.listing is listing]
        p50 = statistics.median(result.p50_ms for result in results)
        p99 = statistics.median(result.p99_ms for result in results)
        worst = max(result.max_ms for result in results)
        rate = statistics.median(result.rate for result in results)
        lines.append(
            f"- {name}: median of p50 {p50:.2f} ms, of p99 **{p99:.2f} ms**, longest {worst:.1f} ms; "
            f"{rate:,.0f} answers/s"
        )
    return lines


def block(command: str, facts: dict[str, str], turns: Sequence[Turn], torrents: int) -> str:
    """The Markdown that --write puts between the markers."""
    named = "; ".join(f"{name}: {value}" for name, value in facts.items() if name != "opentracker")
    rows = [row(turn) for turn in turns]
    lines = summary(turns, torrents)
    return "\n".join([f"`{command}`", "", named, "", HEAD, RULE, *rows, "", *lines])
