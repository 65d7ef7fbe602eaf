"""Formats results: the tables on the terminal and the block between the markers of
docs/performance.md.

It turns runs and facts into strings and does no I/O. Medians are over the undisturbed rounds, if
there are any; disturbed rounds are shown too.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchlib.load import Result


class NoMarkersError(Exception):
    """The page has one of the markers of a block without the other; the message names both."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Holds the results of one timed phase."""

    level: str  # of load, the same in all rounds
    result: Result
    paced: bool  # requests came by the clock, so that its rate says nothing of the server
    dropped: int  # datagrams that the kernel dropped because the server's socket was full
    metric_agrees: bool  # our tracker's metric has the same number
    threads: dict[str, tuple[float, float]]  # CPU seconds by kind of thread, user and system


@dataclass(frozen=True, slots=True)
class Run:
    """Holds one server's results of one round."""

    server: str
    round: int
    fill: Result | None
    timed: tuple[Phase, ...]
    resident: int  # bytes of memory after the load
    log_bytes: int | None  # bytes of the event log after the stop; None without one

    @property
    def results(self) -> list[Result]:
        return [*([self.fill] if self.fill else []), *(phase.result for phase in self.timed)]

    @property
    def log_bytes_per_announce(self) -> float | None:
        announces = sum(result.announces for result in self.results)
        return None if self.log_bytes is None else self.log_bytes / max(1, announces)


def _table_head(*names: str) -> tuple[str, str]:
    return _cells(names), "|---" * len(names) + "|"


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


HEAD, RULE = _table_head(
    *("Round", "Server", "Load", "Answers/s", "Server CPU", "µs/answer"),
    *("p50 ms", "p99 ms", "p99.9 ms", "Dropped", "Peers", "Sent again", "Late", "Wrong", "Notes"),
)


def row(run: Run, phase: Phase) -> str:
    result = phase.result
    return _cells(
        [
            *(str(run.round), run.server, phase.level, f"{result.rate:,.0f}"),
            *(f"{result.server_cpu:.0%}", f"{result.microseconds:.2f}"),
            *(f"{result.p50_ms:.2f}", f"{result.p99_ms:.2f}", f"{result.p999_ms:.2f}"),
            *(f"{phase.dropped:,}", f"{result.peers_per_answer:.1f}"),
            *(f"{result.retransmits:,}", f"{result.late:,}", f"{result.errors:,}"),
            "; ".join(_notes(phase)),
        ]
    )


def _notes(phase: Phase) -> list[str]:
    result = phase.result
    others = max(result.others_on_server_core, result.others_on_generator_core, result.steal)
    unanswered = result.lost + result.open_at_end
    notes = {
        f"disturbed ({others:.0%} of a core)": result.disturbed,
        "the generator is the limit": result.generator_bound,
        f"{result.behind:,.0f} due requests were not sent": result.behind >= 1 + result.rate / 1000,
        f"{unanswered:,} without an answer": unanswered,
        f"{result.own_drops:,} answers dropped at the generator": result.own_drops,
        f"{result.connection_id_errors:,} connection id errors": result.connection_id_errors,
        f"{min(1, result.first_announces / max(1, result.announces)):.0%} first announces": result.first_announces,
        f"{result.resumed / max(1, result.connections):.0%} resumed": result.resumed,
        f"{result.answered / max(1, result.connections):,.1f} answers a connection": result.connections,
        "the metric of dropped datagrams disagrees": not phase.metric_agrees,
        _by_thread(phase): sum(phase.threads.get("receivers", ())) > 0,
    }
    return [note for note, applies in notes.items() if applies]


def _by_thread(phase: Phase) -> str:
    """Says what an answer costs in each kind of thread, and the kernel's share of that."""
    parts = [
        f"{kind} {(user + system) * 1e6 / max(1, phase.result.answered):.2f} µs (kernel {system / (user + system):.0%})"
        for kind, (user, system) in phase.threads.items()
        if user + system > 0
    ]
    return "an answer: " + ", ".join(parts)


def summary(runs: Sequence[Run]) -> list[str]:
    """Returns the table of medians with ratios to one server, then memory, log and fill."""
    names = list(dict.fromkeys(run.server for run in runs))
    levels = list(dict.fromkeys(phase.level for run in runs for phase in run.timed))
    reference = _reference(names)
    head, rule = _table_head(
        *("Medians", "Load", "Answers/s", "µs/answer", "p50 ms", "p99 ms", "p99.9 ms"),
        *("Dropped in all rounds", f"Of {reference}'s rate", "Of its µs/answer", "Rounds"),
    )
    table = [_median_row(runs, name, reference, level) for level in levels for name in names]
    return [head, rule, *table, "", *_legend(table), *(_side_line(runs, name) for name in names)]


def _reference(names: Sequence[str]) -> str:
    """Returns the server whose figures count as 1."""
    wanted = ("tracker, public", "opentracker")
    return next((name for name in wanted if name in names), names[0])


def _legend(table: Sequence[str]) -> list[str]:
    lines = ["Ratios are medians of the rounds' ratios."]
    if any("≥" in line or "≤" in line for line in table):
        lines.append("≥, ≤: the generator was the limit, here or for the server compared with.")
    return [*lines, ""]


def _phases(runs: Sequence[Run], name: str, level: str) -> dict[int, Phase]:
    """Returns a server's phases by round."""
    return {
        run.round: phase
        for run in runs
        for phase in run.timed
        if run.server == name and phase.level == level
    }


def _undisturbed(phases: Sequence[Phase]) -> list[Phase]:
    return [phase for phase in phases if not phase.result.disturbed] or list(phases)


def _median_row(runs: Sequence[Run], name: str, reference: str, level: str) -> str:
    own, other = _phases(runs, name, level), _phases(runs, reference, level)
    used = _undisturbed(list(own.values()))
    results = [phase.result for phase in used]
    quality = "all disturbed" if used[0].result.disturbed else "undisturbed"
    bound = "≥ " if _bound(own) else ""

    def middle(of: Callable[[Result], float]) -> float:
        return statistics.median(map(of, results))

    return _cells(
        [
            *(name, level, f"{bound}{middle(lambda r: r.rate):,.0f}"),
            f"{middle(lambda r: r.microseconds):.2f}",
            *(
                f"{middle(of):.2f}"
                for of in (lambda r: r.p50_ms, lambda r: r.p99_ms, lambda r: r.p999_ms)
            ),
            f"{sum(phase.dropped for phase in own.values()):,}",
            "" if used[0].paced else _rate_ratio(own, other),
            f"{_ratio(own, other, lambda r: r.microseconds):.2f}",
            f"{len(used)}, {quality}",
        ]
    )


def _bound(phases: dict[int, Phase]) -> bool:
    used = _undisturbed(list(phases.values()))
    return sum(phase.result.generator_bound for phase in used) * 2 > len(used)


def _sense(own: bool, other: bool) -> str:
    """Says what a ratio is a bound of, when the generator limited one of the two or both."""
    return {(False, False): "", (True, False): "≥ ", (False, True): "≤ ", (True, True): "≤≥ "}[
        own, other
    ]


def _rate_ratio(own: dict[int, Phase], other: dict[int, Phase]) -> str:
    return _sense(_bound(own), _bound(other)) + f"{_ratio(own, other, lambda r: r.rate):.2f}"


def _ratio(own: dict[int, Phase], other: dict[int, Phase], of: Callable[[Result], float]) -> float:
    """Returns the median of the rounds' ratios, of undisturbed rounds if there are any."""
    pairs = [(own[number].result, other[number].result) for number in own if number in other]
    calm = [pair for pair in pairs if not any(result.disturbed for result in pair)]
    return statistics.median(of(a) / max(1e-9, of(b)) for a, b in calm or pairs)


def _side_line(runs: Sequence[Run], name: str) -> str:
    own = [run for run in runs if run.server == name]
    parts = [f"{statistics.median(run.resident for run in own) / 1e6:.0f} MB resident"]
    fills = [run.fill.microseconds for run in own if run.fill]
    if fills:
        parts.insert(0, f"first announces {statistics.median(fills):.2f} µs of server CPU each")
    logged = [run.log_bytes_per_announce for run in own if run.log_bytes_per_announce is not None]
    if logged:
        parts.append(f"event log {statistics.median(logged):.0f} bytes an announce")
    return f"- {name}: {', '.join(parts)}"


def complaints(runs: Sequence[Run]) -> list[str]:
    """Returns what makes a measurement fail: a wrong answer, or an event log that stayed empty.

    Lost datagrams do not count, because the kernel may drop them.
    """
    wrong = [
        f"{run.server}: {result.errors} wrong answers, first: {result.first_error}"
        for run in runs
        for result in run.results
        if result.errors
    ]
    return [*wrong, *("the tracker wrote no event log" for run in runs if run.log_bytes == 0)]


def block(command: str, facts: dict[str, str], runs: Sequence[Run]) -> str:
    """Returns the Markdown that --write puts between the markers."""
    machine = "; ".join(f"{name}: {value}" for name, value in facts.items())
    rows = [row(run, phase) for run in runs for phase in run.timed]
    return "\n".join([f"`{command}`", "", machine, "", HEAD, RULE, *rows, "", *summary(runs)])


def replace_block(page: str, name: str, text: str) -> str:
    """Returns the page with the block `name` replaced, or added at its end.

    Raises NoMarkersError.
    """
    start, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    if start not in page and end not in page:
        return f"{page.rstrip()}\n\n## The load {name}\n\n{start}\n{text}\n{end}\n"
    before, found, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise NoMarkersError(f"{start} … {end}")
    return f"{before}{start}\n{text}\n{end}{after}"
