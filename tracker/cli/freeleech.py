"""`tracker freeleech`: gives, lists and withdraws freeleech tokens through the running API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_client import Client
from tracker.cli.api_options import (
    TORRENT,
    add_change,
    add_client,
    client,
    do_each,
    line,
    named,
    number,
    say_json,
)
from tracker.cli.options import add_many
from tracker.cli.output import say
from tracker.cli.tables import BYTES, HASH, NUMBER, TIME, Column, add_list, by_name, say_list
from tracker.cli.time_options import when

if TYPE_CHECKING:
    import argparse

_COLUMNS = (
    Column("token", NUMBER), Column("state"), Column("account", NUMBER), Column("owner"),
    Column("info_hash", HASH), Column("freed", BYTES), Column("max_bytes", BYTES),
    Column("until", TIME), Column("label"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    give = commands.add_parser("give", help="give an account a token for a torrent")
    give.add_argument("account", type=line, help="its number or owner")
    give.add_argument("torrent", metavar="TORRENT", type=line, help=TORRENT)
    give.add_argument("--until", metavar="TIME", type=when, help="until then")
    give.add_argument("--max-bytes", metavar="BYTES", type=number, help="until so many are free")
    give.add_argument(
        "--until-completed", action="store_true", help="until the download is complete"
    )
    give.add_argument("--label", type=line, help="a name for people")
    add_change(give, give_token)
    listing = commands.add_parser("list", help="list tokens, and what they freed")
    listing.add_argument("--account", type=line, help="of this account: its number or owner")
    listing.add_argument(
        "--torrent", metavar="TORRENT", type=line, help=f"for this torrent: {TORRENT}"
    )
    states = ("unused", "in_use", "used_up", "completed", "withdrawn", "expired")
    listing.add_argument("--state", choices=states, help="only such tokens")
    add_list(listing)
    add_client(listing, list_tokens)
    withdraw = commands.add_parser("withdraw", help="end tokens; what they freed stays free")
    add_many(withdraw, "tokens", "NUMBER", number, "their numbers")
    add_change(withdraw, withdraw_tokens)


def give_token(options: argparse.Namespace) -> None:
    api = client(options)
    token = api.give_freeleech(
        {
            **named(api, options),
            "until": options.until,
            "max_bytes": options.max_bytes,
            "until_completed": options.until_completed or None,
            "label": options.label,
        }
    )
    if options.json:
        say_json(token)
    else:
        say(str(token["token"]))


def list_tokens(options: argparse.Namespace) -> None:
    api = client(options)
    filters = {name: str(value) for name, value in named(api, options).items()}
    if options.state:
        filters["state"] = options.state
    say_list(options, _COLUMNS, api.freeleech(filters), by_name(_COLUMNS))


def withdraw_tokens(options: argparse.Namespace) -> None:
    do_each(options, options.tokens, "withdrew", Client.withdraw_freeleech)
