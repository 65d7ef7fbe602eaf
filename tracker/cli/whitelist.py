"""`tracker whitelist`: lists and changes the whitelist through the running tracker's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_options import add_change, add_client, client, naming, say_done, say_json
from tracker.cli.options import info_hash
from tracker.cli.output import say

if TYPE_CHECKING:
    import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="whitelist torrents")
    add.add_argument("hashes", metavar="HASH", nargs="+", type=info_hash)
    add_change(add, add_torrents)
    add_client(commands.add_parser("list", help="list whitelisted torrents"), list_torrents)
    remove = commands.add_parser("remove", help="take torrents off the whitelist")
    remove.add_argument("hashes", metavar="HASH", nargs="+", type=info_hash)
    add_change(remove, remove_torrents)


def add_torrents(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.hashes:
        with naming(one):
            api.whitelist_add(one)
        say_done(options, "whitelisted", one)


def list_torrents(options: argparse.Namespace) -> None:
    for one in client(options).whitelist():
        if options.json:
            say_json({"info_hash": one})
        else:
            say(one)


def remove_torrents(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.hashes:
        with naming(one):
            api.whitelist_remove(one)
        say_done(options, "delisted", one)
