"""`tracker replay`: prints the state at a moment of the log, or re-runs a part of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_at, add_log_and_json, moment, replayed, state_at
from tracker.cli.output import CannotError, say
from tracker.offline.state_summary import digest, summary
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to a moment and print the state with its digest, and the history digest up to "
        "there. Equal states have equal digests; copies with the same events have equal history digests. "
        "With --check, decide the events from A to B anew and compare each outcome with the recorded one."
    )
    add_log_and_json(parser, "one JSON object; with --check one for each line")
    add_at(parser)
    parser.add_argument(
        "--check", action="store_true",
        help="decide the events from A to B again; exit code 1 if an outcome is not as recorded",
    )  # fmt: skip
    parser.add_argument(
        "--trace", action="store_true", help="with --check: print each decision as a line"
    )
    for name, which in (("A", "first"), ("B", "last")):
        parser.add_argument(
            which, metavar=name, nargs="?", type=moment,
            help=f"the {which} event of the part: sequence number or time",
        )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    part = options.first is not None
    if options.check:
        if options.last is None or options.at is not None:
            raise CannotError(
                "--check needs a part of the log: `tracker replay --check A B`, without --at"
            )
        from tracker.cli.rerun import print_check

        return print_check(options)
    if part or options.trace:
        raise CannotError("A, B and --trace belong to --check; a moment is --at")
    return print_state(options)


def print_state(options: argparse.Namespace) -> int:
    with replayed(options) as log:
        state = state_at(log, options.at)
        history, before = log.history()
        known = trust.of(log.folder, log.keys)
        shown = {
            **summary(state),
            "digest": digest(state),
            "history": history.hex(),
            "history_seq": before,
            "trust": known,
        }
    if options.json:
        outage = log.outage
        between = outage and [rfc3339(outage.from_us), rfc3339(outage.to_us)]
        say(json.dumps({**shown, "outage": between}))
    else:
        for line in _lines(shown):
            say(line)
    return trust.end(known)


def _lines(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{before}{name}.")
        else:
            yield f"{before}{name} {json.dumps(value) if not isinstance(value, str) else value}"
