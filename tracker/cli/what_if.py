"""`tracker what-if`: tells what a part of the log would have been by other settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.cli import trust
from tracker.cli.moment_options import add_log_and_json, replayed
from tracker.cli.output import CannotError, count, note, say, say_json
from tracker.cli.rerun import bounds
from tracker.cli.tables import BYTES, NUMBER, WORD, Column, add_list, by_name, say_table
from tracker.cli.time_options import add_moments
from tracker.config.logged import BadSettingError, changes, typed
from tracker.history.rerun_json import what_if_json
from tracker.history.what_if import BYTES as COUNTED
from tracker.history.what_if import KEYS, CannotDecideError, WhatIf

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_LOAD = {
    "replies": "replies",
    "peers": "peers in replies",
    "body_bytes": "bytes of replies and refusals",
    "expected": "announces, by the interval",
    "expected_bytes": "bytes, by the interval",
}
_SETTINGS = Column("setting", WORD), Column("recorded"), Column("now")
_CHANGES = (
    Column("what", WORD), Column("recorded", NUMBER), Column("now", NUMBER), Column("change", NUMBER),
)  # fmt: skip
_ACCOUNTS = (
    Column("account", NUMBER), Column("owner"), Column("uploaded", BYTES, heading="up"),
    Column("downloaded", BYTES, heading="down"), Column("credited_uploaded", BYTES, heading="credited up"),
    Column("credited_downloaded", BYTES, heading="credited down"),
    Column("seeding_seconds", NUMBER, heading="seeding s"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the events from A to B by other settings, from the state before A, and tell what would "
        "have been different: announces refused, peers returned, load, credit. The log stays as it is."
    )
    add_log_and_json(parser, "one JSON object")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", required=True, dest="settings",
        help=f"a setting, with its value as in TOML; repeatable. Keys: {', '.join(KEYS)}",
    )  # fmt: skip
    add_moments(parser, "the first and the last event")
    add_list(parser)
    parser.set_defaults(run=print_what_if)


def print_what_if(options: argparse.Namespace) -> int:
    try:
        made = changes(typed(options.settings), KEYS)
    except BadSettingError as error:
        raise CannotError(str(error)) from None
    with replayed(options) as log:
        first, end = bounds(log, options)
        run = WhatIf(log, first, end, made)
        try:
            run.go(lambda done: log.report(min(done, end - first), end - first))
        except CannotDecideError as error:
            raise CannotError(str(error)) from None
        known = trust.of(log.folder, log.keys)
    shown = {**what_if_json(run), "trust": known}
    if options.json:
        say_json(shown)
    else:
        _say(options, shown)
        _note(run)
    return trust.end(known)


def _say(options: argparse.Namespace, shown: dict[str, Any]) -> None:
    say(f"events {shown['first']} to {shown['last']}, {shown['announces']} announces")
    then, now = shown["settings"]["recorded"], shown["settings"]["now"]
    changed = ((name, json.dumps(then[name]), json.dumps(now[name])) for name in now)
    say("")
    say_table(options, _SETTINGS, changed)
    refused = "  ".join(f"{reason} {number}" for reason, number in shown["refused"].items())
    say("")
    say(f"refused now: {sum(shown['refused'].values())}{f' ({refused})' if refused else ''}")
    say("")
    say_table(options, _CHANGES, _changes(shown))
    if shown["accounts"]:
        say("")
        say_table(options, _ACCOUNTS, map(by_name(_ACCOUNTS), shown["accounts"]))


def _changes(shown: dict[str, Any]) -> Iterator[tuple[str, float, float, str]]:
    """Yields what is compared: as recorded, by these settings, and the difference."""
    for name, text in _LOAD.items():
        before, after = shown["recorded"][name], shown["now"][name]
        yield text, before, after, f"{after - before:+}"
    credit = shown["credit"]
    for name in (*COUNTED, "seeding_seconds"):
        before, change = credit["recorded"][name], credit["change"][name]
        yield name, before, round(before + change, 6), f"{change:+}"


def _note(run: WhatIf) -> None:
    if run.not_recorded:
        reasons = ", ".join(f"{why} {number}" for why, number in run.not_recorded.most_common())
        note(
            f"note: {count(run.not_recorded.total(), 'refusal')} in this part ({reasons}). What was refused was not "
            "recorded, so nobody can tell what looser settings would have made of it"
        )
    for why in run.left_out:
        note(f"note: left out, because it cannot happen by these settings: {why}")
