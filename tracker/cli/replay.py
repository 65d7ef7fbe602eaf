"""`tracker replay`: prints the numbers and the digest of the state at a moment of the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_at, add_log_and_json, replayed, state_at
from tracker.cli.output import say
from tracker.offline.state_summary import digest, summary
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to a moment and print the state with its digest, and the history digest up to "
        "there. Equal states have equal digests; copies with the same events have equal history digests."
    )
    add_log_and_json(parser, "one JSON object")
    add_at(parser)
    parser.set_defaults(run=print_state)


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
