"""`tracker replay`: prints the state at a moment of the log, or re-runs a part of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_at, add_log_and_json, replayed, state_at
from tracker.cli.output import CannotError, say, say_json
from tracker.cli.time_options import add_moments
from tracker.history.state_summary import digest, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

_FASTEST = 1e9  # seconds of the log for each second


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to a moment and print the state with its digest, and the history digest up to "
        "there. Equal states have equal digests; copies with the same events have equal history digests. "
        "With --check, decide the events from A to B anew and compare each outcome with the recorded one. "
        "With --against, send their announces to a test instance and compare its answers."
    )
    add_log_and_json(parser, "one JSON object; with --check and --against one for each line")
    add_at(parser)
    parser.add_argument(
        "--check", action="store_true",
        help="decide the events from A to B again; exit code 1 if an outcome is not as recorded",
    )  # fmt: skip
    parser.add_argument(
        "--trace", action="store_true", help="with --check: print each decision as a line"
    )
    parser.add_argument(
        "--against", metavar="URL",
        help="send the announces from A to B to this test instance: http://HOST:PORT/announce[/KEY] or udp://HOST:PORT",
    )  # fmt: skip
    parser.add_argument(
        "--speed", metavar="X", type=_speed,
        help="with --against: so many seconds of the log for each second (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--keys", metavar="FILE", type=Path,
        help="with --against: the members' keys, one a line, because the log has their hashes only",
    )  # fmt: skip
    parser.add_argument(
        "--yes", action="store_true", help="with --against: also to a host outside of private networks"
    )  # fmt: skip
    add_moments(parser, "the first and the last event of the part", needed=False)
    parser.set_defaults(run=run)


def _speed(text: str) -> float:
    """An argument's type: a factor above 0."""
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= _FASTEST:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0, such as 60")
    return factor


def run(options: argparse.Namespace) -> int:
    """Prints the state at a moment, or what a part of the log comes to again."""
    part = options.first is not None
    if options.trace and not options.check:
        raise CannotError("--trace belongs to --check")
    if (options.speed or options.keys or options.yes) and not options.against:
        raise CannotError("--speed, --keys and --yes belong to --against URL")
    if not (options.check or options.against):
        if part:
            raise CannotError(
                "a part of the log, A B, needs --check or --against; a moment is --at"
            )
        return print_state(options)
    if options.check and options.against:
        raise CannotError(
            "--check and --against do not go together: the one asks this version, the other a running tracker"
        )
    if not part or options.at is not None:
        raise CannotError("--check and --against need a part of the log, A B, and no --at")
    if options.check:
        from tracker.cli.rerun import print_check

        return print_check(options)
    from tracker.cli.against import print_against

    return print_against(options)


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
        say_json({**shown, "outage": log.outage and log.outage.shown()})
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
