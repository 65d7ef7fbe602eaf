"""`tracker outages`: lists when the tracker was down, and why. Reads beside a running tracker."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tracker.cli import trust
from tracker.cli.moment_options import (
    add_log_and_json,
    failing_if_interrupted,
    replayed,
)
from tracker.cli.options import log_and_keys
from tracker.cli.output import CannotError, count, progress
from tracker.cli.tables import NUMBER, TIME, WORD, Column, add_list, by_name, say_list
from tracker.cli.time_options import add_part
from tracker.store.outages import WHY, Outages

if TYPE_CHECKING:
    import argparse

    from tracker.ports import Outage

_COLUMNS = (
    Column("from", TIME), Column("to", TIME), Column("seconds", NUMBER),
    Column("to_seq", NUMBER, heading="seq"), Column("why", WORD), Column("reason"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the outages in the log: when the tracker served nobody, or could not record it, for "
        "how long, and why."
    )
    add_log_and_json(parser, "one JSON object an outage")
    add_list(parser)
    add_part(parser, "that end after that", "that begin at that time or before")
    parser.set_defaults(run=print_outages)


def print_outages(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    after, to = _range(options)
    with failing_if_interrupted(), progress("Reading the log") as report:
        log = Outages(folder, keys)
        for seq in log.read():
            report(seq, None)
    found = log.within(after, to)
    return trust.listed(partial(_print, found, options), folder, keys, as_json=options.json)


def _range(options: argparse.Namespace) -> tuple[int, int | None]:
    """Returns the last event before what is asked for, and its last event."""
    with replayed(options) as log:
        after = log.resolve(options.first) if options.first else -1
        to = log.resolve(options.last) if options.last else None
    if to is not None and to < after:
        raise CannotError("--to is before --from")
    return after, to


def _print(found: list[Outage], options: argparse.Namespace) -> None:
    def summary() -> str:
        seconds = sum(one.seconds for one in found)
        kinds = (f"{why}: {WHY[why]}" for why in sorted({one.why for one in found}))
        return "\n".join([f"{count(len(found), 'outage')}, {seconds:.3f} seconds together", *kinds])

    shown = (one.shown() for one in found)
    say_list(options, _COLUMNS, shown, by_name(_COLUMNS), summary=summary)
