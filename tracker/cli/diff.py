"""`tracker diff`: lists what changed between two moments of the log."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_log_and_json, replayed, state_at
from tracker.cli.options import info_hash
from tracker.cli.output import say, say_json
from tracker.cli.time_options import add_moments
from tracker.history.state_diff import differences
from tracker.history.state_summary import picture

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the log to two moments and list what changed from the first to the second."
    )
    add_log_and_json(parser, "one JSON object a change")
    parser.add_argument(
        "--info-hash", metavar="HASH", type=info_hash, help="and who joined and left this swarm"
    )
    add_moments(parser, "the two moments")
    parser.set_defaults(run=print_diff)


def print_diff(options: argparse.Namespace) -> int:
    swarm = bytes.fromhex(options.info_hash) if options.info_hash else None
    with replayed(options) as log:
        forward = sorted((options.first, options.last), key=log.resolve)
        found = {one: picture(state_at(log, one), swarm) for one in forward}
    changes = differences(found[options.first], found[options.last])
    print_all = partial(_print, changes, as_json=options.json)
    return trust.listed(print_all, log.folder, log.keys, as_json=options.json)


def _print(changes: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    for change in changes:
        if as_json:
            say_json(change)
        else:
            say(_text(change))


def _text(change: dict[str, Any]) -> str:
    kind = change.pop("type")
    if kind in ("count", "setting"):
        return f"{kind} {change['name']}: {change['before']} -> {change['after']}"
    return " ".join([kind, *(f"{name}={_value(value)}" for name, value in change.items() if value)])


def _value(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
