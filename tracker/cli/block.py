"""`tracker block`: blocks networks, and lists and lifts blocks, through the running API."""

from __future__ import annotations

import argparse
from ipaddress import ip_network

from tracker.cli.api_options import add_change, client, naming, say_json
from tracker.cli.options import add_many
from tracker.cli.output import say
from tracker.cli.standing import add_standing, moment, say_standing
from tracker.cli.tables import Column
from tracker.cli.time_options import when


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="refuse announces from networks; print events' numbers")
    add_many(add, "networks", "NETWORK", _network, "as 198.51.100.0/24, or an address")
    add.add_argument("--until", metavar="TIME", type=when, help="until lifted unless said")
    add.add_argument("--public", action="store_true", help="clients get the reason")
    add_change(add, block_networks, reason_needed=True)
    listing = commands.add_parser("list", help="list blocked networks")
    add_standing(listing, list_blocks)
    lift = commands.add_parser("lift", help="take announces from networks again")
    add_many(lift, "networks", "NETWORK", _network, "as `list` prints them")
    add_change(lift, unblock_networks, reason_needed=True)


def block_networks(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.networks:
        with naming(one):
            _say(options, one, api.block(one, options.until, options.public))


def unblock_networks(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.networks:
        with naming(one):
            _say(options, one, api.unblock(one))


def list_blocks(options: argparse.Namespace) -> None:
    say_standing(options, [Column("network")], client(options).blocks(moment(options)))


def _say(options: argparse.Namespace, network: str, done: dict[str, int]) -> None:
    if options.json:
        say_json({"network": network, **done})
    else:
        say(str(done["seq"]))


def _network(text: str) -> str:
    """An argument's type: a network such as 198.51.100.0/24, or an address."""
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected a network such as 198.51.100.0/24: {error}"
        ) from None
