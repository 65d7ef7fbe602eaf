"""`tracker settings`: shows and changes settings of the running tracker, through its API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracker.cli.api_client import ApiError
from tracker.cli.api_options import add_change, add_client, client, line
from tracker.cli.options import number
from tracker.cli.output import say, say_json
from tracker.cli.tables import NUMBER, TIME, WORD, Column, add_list, say_list
from tracker.config.logged import BadSettingError, typed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

_SHOWN = (
    Column("key", WORD), Column("value"), Column("file"), Column("seq", NUMBER), Column("time", TIME),
    Column("by", absent="file"), Column("reason"),
)  # fmt: skip
_CHANGES = (
    Column("seq", NUMBER), Column("time", TIME), Column("key", WORD), Column("value"),
    Column("by", absent="file"), Column("reason"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="list settings in force, and where each comes from")
    show.add_argument("key", metavar="KEY", nargs="?", type=line, help="only this one")
    show.add_argument("--changed", action="store_true", help="only those unlike in the file")
    add_list(show)
    add_client(show, show_settings)
    put = commands.add_parser("set", help="change settings at once, and print the event's number")
    put.add_argument(
        "settings", metavar="KEY=VALUE", nargs="+", type=line, help="as in the configuration file"
    )
    put.add_argument("--dry-run", action="store_true", help="only tell what would change")
    add_change(put, set_settings)
    history = commands.add_parser("history", help="list the changes, the oldest first")
    history.add_argument("--last", metavar="N", type=number, help="the last N only")
    add_list(history)
    add_client(history, list_changes)


def show_settings(options: argparse.Namespace) -> None:
    found = client(options).settings()["keys"]
    if options.key is not None:
        found = [one for one in found if one["key"] == options.key]
        if not found:
            raise ApiError(f"{options.key}: there is no such setting; `tracker settings show` lists all")  # fmt: skip
    if options.changed:
        found = [one for one in found if one["value"] != one["file"]]
    say_list(options, _SHOWN, found, _cells)


def set_settings(options: argparse.Namespace) -> None:
    try:
        values = typed(options.settings)
    except BadSettingError as error:
        raise ApiError(str(error)) from None
    made = client(options).change_settings(values, dry_run=options.dry_run)
    if options.json:
        say_json(made)
        return
    for one in made["changed"]:
        say(f"{one['key']} {json.dumps(one['value'])} (before: {json.dumps(one['before'])})")
    if not made["changed"]:
        say("nothing changes: these values are in force")
    elif made["seq"] is not None:
        say(str(made["seq"]))


def list_changes(options: argparse.Namespace) -> None:
    changes = client(options).settings_changes(options.last)
    say_list(
        options,
        _CHANGES,
        changes if options.json else _each(changes),
        lambda one: [one["seq"], one["time"], one["key"], json.dumps(one["value"]), one["by"], one["reason"] or None],
    )  # fmt: skip


def _each(changes: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields a row for each setting of each change."""
    for change in changes:
        for key, value in change["settings"].items():
            yield {**change, "key": key, "value": value}


def _cells(one: dict[str, Any]) -> list[object]:
    value, file = (json.dumps(one[name], ensure_ascii=False) for name in ("value", "file"))
    by = "not known" if one["seq"] is None else one["by"]
    return [one["key"], value, file, one["seq"], one["time"], by, one["reason"] or None]
