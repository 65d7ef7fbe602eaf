"""Formats results: the table on the terminal and the block between the markers of
docs/performance.md.

It turns runs and facts into strings and does no I/O. Medians are over the undisturbed rounds, if
there are any; disturbed rounds are shown too.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchlib.load import Result


class NoMarkersError(Exception):
    """The page has no markers for this block; the message names the marker."""


@dataclass(frozen=True, slots=True)
class Run:
    """Holds one server's results of one round."""

    server: str
    round: int
    fill: Result
    timed: tuple[Result, ...]
    resident: int  # bytes of memory after the load
    log_bytes: int | None  # bytes of the event log after the stop; None without one

    @property
    def log_bytes_per_announce(self) -> float | None:
        announces = self.fill.announces + sum(result.announces for result in self.timed)
        return None if self.log_bytes is None else self.log_bytes / max(1, announces)


HEAD = "| Round | Server | In flight | Answers/s | Server CPU | µs/answer | p50 ms | p99 ms | Peers | Sent again | Errors | Notes |"
RULE = "|---" * 12 + "|"


def row(run: Run, result: Result) -> str:
    cells = [
        *(str(run.round), run.server, str(result.in_flight), f"{result.rate:,.0f}"),
        *(f"{result.server_cpu:.0%}", f"{result.microseconds:.2f}"),
        *(f"{result.p50_ms:.1f}", f"{result.p99_ms:.1f}", f"{result.peers_per_answer:.1f}"),
        *(str(result.retransmits), str(result.errors), _notes(result)),
    ]
    return "| " + " | ".join(cells) + " |"


def _notes(result: Result) -> str:
    notes = []
    if result.disturbed:
        others = max(result.others_on_server_core, result.others_on_generator_core, result.steal)
        notes.append(f"disturbed ({others:.0%} of a core)")
    if result.generator_bound:
        notes.append("the generator is the limit")
    if result.lost:
        notes.append(f"{result.lost} lost")
    if result.connection_id_errors:
        notes.append(f"{result.connection_id_errors} connection id errors")
    return ", ".join(notes)


def summary(runs: Sequence[Run]) -> list[str]:
    """Returns medians by server and level, then ratios, then memory, log and fill."""
    servers = list(dict.fromkeys(run.server for run in runs))
    levels = list(dict.fromkeys(result.in_flight for run in runs for result in run.timed))
    lines = [_median_line(runs, server, level) for level in levels for server in servers]
    if len(servers) == 2:
        lines += [_ratio_line(runs, servers[0], servers[1], level) for level in levels]
    return lines + [_side_line(runs, server) for server in servers]


def _undisturbed(runs: Sequence[Run], server: str, level: int) -> list[Result]:
    every = [r for run in runs if run.server == server for r in run.timed if r.in_flight == level]
    return [result for result in every if not result.disturbed] or every


def median_rate(runs: Sequence[Run], server: str, level: int) -> float:
    return statistics.median(result.rate for result in _undisturbed(runs, server, level))


def _median_cost(runs: Sequence[Run], server: str, level: int) -> float:
    return statistics.median(result.microseconds for result in _undisturbed(runs, server, level))


def _median_line(runs: Sequence[Run], server: str, level: int) -> str:
    results = _undisturbed(runs, server, level)
    cost = _median_cost(runs, server, level)
    quality = "all disturbed" if results[0].disturbed else "undisturbed"
    bound = ", a lower bound: the generator is the limit" if _bound(results) else ""
    return (
        f"- {server}, {level} in flight: median {median_rate(runs, server, level):,.0f} answers/s, "
        f"{cost:.2f} µs of server CPU each ({len(results)} rounds, {quality}{bound})"
    )


def _bound(results: Sequence[Result]) -> bool:
    return sum(result.generator_bound for result in results) * 2 > len(results)


def _ratio_line(runs: Sequence[Run], ours: str, theirs: str, level: int) -> str:
    rates = median_rate(runs, ours, level) / median_rate(runs, theirs, level)
    costs = _median_cost(runs, ours, level) / max(1e-9, _median_cost(runs, theirs, level))
    bound = _bound(_undisturbed(runs, ours, level)), _bound(_undisturbed(runs, theirs, level))
    sense = {
        (False, False): "",
        (False, True): "at most, since the generator limited the second: ",
        (True, False): "at least, since the generator limited the first: ",
        (True, True): "saying nothing, since the generator limited both: ",
    }[bound]
    return (
        f"- {ours} / {theirs}, {level} in flight: {sense}**{rates:.2f}** of its rate, "
        f"{costs:.2f} of its server CPU an answer"
    )


def _side_line(runs: Sequence[Run], server: str) -> str:
    own = [run for run in runs if run.server == server]
    resident = statistics.median(run.resident for run in own) / 1e6
    fill = statistics.median(run.fill.microseconds for run in own)
    logged = [run.log_bytes_per_announce for run in own if run.log_bytes_per_announce is not None]
    log = f", event log {statistics.median(logged):.0f} bytes an announce" if logged else ""
    return f"- {server}: first announces {fill:.2f} µs of server CPU each, {resident:.0f} MB resident{log}"


def block(command: str, facts: dict[str, str], runs: Sequence[Run]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    machine = "; ".join(f"{name}: {value}" for name, value in facts.items())
    rows = [row(run, result) for run in runs for result in run.timed]
    return "\n".join([f"`{command}`", "", machine, "", HEAD, RULE, *rows, "", *summary(runs)])


def replace_block(page: str, name: str, text: str) -> str:
    """Returns the page with the block `name` replaced. Raises NoMarkersError."""
    start, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, found, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise NoMarkersError(f"{start} … {end}")
    return f"{before}{start}\n{text}\n{end}{after}"
