"""`tracker list`: prints the ready lists of the running tracker's API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.cli.api_options import add_client, client, number
from tracker.cli.lists import add_query, say_rows
from tracker.cli.tables import BYTES, HASH, NUMBER, TIME, Column, add_list, say_list

if TYPE_CHECKING:
    import argparse

_SWARMS = (
    Column("info_hash", HASH), Column("label"), Column("seeders", NUMBER), Column("leechers", NUMBER),
    Column("completed", NUMBER), Column("size", BYTES), Column("added", TIME),
)  # fmt: skip
_SEEDED = (
    Column("info_hash", HASH), Column("label"), Column("unseeded_since", TIME), Column("owner"),
    Column("account", NUMBER), Column("leechers", NUMBER), Column("added", TIME),
    Column("first_seeded", TIME),
)  # fmt: skip
_REFUSED = (
    Column("info_hash", HASH), Column("label"), Column("times", NUMBER), Column("members"),
)  # fmt: skip


@frozen
class _List:
    help: str
    columns: tuple[Column, ...]
    number: str = ""  # the parameter that it is about


_LISTS = {
    "no-seeder": _List("swarms with leechers and no seeder", _SWARMS),
    "one-seeder": _List("swarms with one seeder", _SWARMS),
    "few-seeders": _List("torrents with fewer than N seeders (3)", _SWARMS, "seeders"),
    "unseeded": _List("torrents whose last seeder left: when, and who", _SEEDED),
    "dead": _List("torrents that nobody has seeded for N days (30)", _SEEDED, "days"),
    "seeded-late": _List(
        "torrents that nobody seeded within N hours of adding (24)", _SEEDED, "hours"
    ),
}


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="LIST", required=True)
    for name, one in _LISTS.items():
        listing = commands.add_parser(name, help=one.help)
        if one.number:
            listing.add_argument(f"--{one.number}", metavar="N", type=number)
        add_query(listing, partial(_say, name, one), searched=one.columns is _SWARMS)
    refused = commands.add_parser(
        "unregistered", help="torrents that were refused as not whitelisted, by count and member"
    )
    refused.add_argument(
        "--days", metavar="N", type=number, default=1, help="of the last N days (1)"
    )
    add_list(refused)
    add_client(refused, _say_refused)


def _say(name: str, one: _List, options: argparse.Namespace) -> None:
    given = getattr(options, one.number) if one.number else None
    filters = {} if given is None else {one.number: str(given)}
    say_rows(options, "torrents", one.columns, filters, f"lists/{name}")


def _say_refused(options: argparse.Namespace) -> None:
    say_list(options, _REFUSED, client(options).unregistered(options.days), _refused)


def _refused(row: dict[str, Any]) -> list[object]:
    members = [f"{one['owner'] or one['account']} ({one['times']})" for one in row["members"]]
    return [row["info_hash"], row["label"], row["times"], members]
