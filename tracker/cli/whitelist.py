"""`tracker whitelist`: lists and changes the whitelist through the running tracker's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_client import Client
from tracker.cli.api_options import (
    TORRENT,
    add_change,
    do_each,
    hashes_of,
    line,
)
from tracker.cli.lists import add_query, say_rows
from tracker.cli.options import add_many
from tracker.cli.tables import HASH, Column

if TYPE_CHECKING:
    import argparse

_COLUMNS = Column("info_hash", HASH), Column("label")


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="whitelist torrents")
    add_many(add, "torrents", "TORRENT", line, TORRENT)
    add_change(add, add_torrents)
    listing = commands.add_parser("list", help="list whitelisted torrents")
    add_query(listing, list_torrents)
    remove = commands.add_parser("remove", help="take torrents off the whitelist")
    add_many(remove, "torrents", "TORRENT", line, TORRENT)
    add_change(remove, remove_torrents)


def add_torrents(options: argparse.Namespace) -> None:
    do_each(options, hashes_of(options), "whitelisted", Client.whitelist_add)


def list_torrents(options: argparse.Namespace) -> None:
    say_rows(options, "torrents", _COLUMNS, {"whitelisted": "true"})


def remove_torrents(options: argparse.Namespace) -> None:
    do_each(options, hashes_of(options), "delisted", Client.whitelist_remove)
