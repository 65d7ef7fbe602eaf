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
from tracker.cli.output import CannotError, count, progress, say, say_json
from tracker.cli.time_options import add_part
from tracker.offline.outages import WHY, RecordedOutage, outages
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse

_COLUMNS = "{:<27}  {:<27}  {:>12}  {:>10}  {}"


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the outages in the log: when the tracker served nobody, or could not record it, for "
        "how long, and why."
    )
    add_log_and_json(parser, "one JSON object an outage")
    add_part(parser, "that end after that", "that begin at that time or before")
    parser.set_defaults(run=print_outages)


def print_outages(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    after, to = _range(options)
    with failing_if_interrupted(), progress("Reading the log") as report:
        found = [
            one for one in outages(folder, keys, report)
            if one.to_seq > after and (one.from_seq is None or one.from_seq <= to)
        ]  # fmt: skip
    return trust.listed(partial(_print, found, options), folder, keys, as_json=options.json)


def _range(options: argparse.Namespace) -> tuple[int, float]:
    """Returns the last event before what is asked for, and its last event."""
    with replayed(options) as log:
        after = log.resolve(options.first) if options.first else -1
        to = log.resolve(options.last) if options.last else float("inf")
    if to < after:
        raise CannotError("--to is before --from")
    return after, to


def _print(found: list[RecordedOutage], options: argparse.Namespace) -> None:
    if options.json:
        for one in found:
            say_json(as_json(one))
        return
    say(_COLUMNS.format("from", "to", "seconds", "seq", "why"))
    for one in found:
        shown = as_json(one)
        why = f"{one.why} ({one.reason})" if one.reason else one.why
        say(_COLUMNS.format(shown["from"], shown["to"], shown["seconds"], one.to_seq, why))
    say(f"{count(len(found), 'outage')}, {sum(map(_seconds, found)):.3f} seconds together")
    for why in sorted({one.why for one in found}):
        say(f"{why}: {WHY[why]}")


def as_json(one: RecordedOutage) -> dict[str, str | float | int | None]:
    return {
        "from": rfc3339(one.from_us), "to": rfc3339(one.to_us), "seconds": round(_seconds(one), 3),
        "why": one.why, "reason": one.reason, "from_seq": one.from_seq, "to_seq": one.to_seq,
    }  # fmt: skip


def _seconds(one: RecordedOutage) -> float:
    return (one.to_us - one.from_us) / 1e6
