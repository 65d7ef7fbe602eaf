"""`tracker factor`: sets, lists and ends credit factors through the running tracker's API."""

from __future__ import annotations

import argparse
import re

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
from tracker.cli.tables import HASH, NUMBER, TIME, Column, add_list, by_name, say_list
from tracker.cli.time_options import when as when
from tracker.ports import MOST_PERCENT

_COLUMNS = (
    Column("factor", NUMBER), Column("account", NUMBER, "all"), Column("owner"), Column("info_hash", HASH, "all"),
    Column("upload_percent", NUMBER, heading="up %"), Column("download_percent", NUMBER, heading="down %"), Column("from", TIME),
    Column("until", TIME), Column("label"), Column("group"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    put = commands.add_parser("set", help="set a factor and print its number")
    put.add_argument("--account", type=line, help="for this account alone: its number or owner")
    put.add_argument("--group", type=line, help="for the accounts of this group alone")
    put.add_argument(
        "--torrent", metavar="TORRENT", type=line, help=f"for this torrent alone: {TORRENT}"
    )
    put.add_argument("--upload", metavar="PERCENT", type=_percent, help="what uploads count")
    put.add_argument(
        "--download", metavar="PERCENT", type=_percent, help="what downloads count; 0 is freeleech"
    )
    put.add_argument("--from", dest="begin", metavar="TIME", type=when, help="from now unless said")
    put.add_argument("--until", metavar="TIME", type=when, help="until ended unless said")
    put.add_argument("--label", type=line, help="a name for people")
    add_change(put, set_factor)
    listing = (
        "list those in force or to come: number, account, torrent, percentages, times, label, group"
    )
    shown = commands.add_parser("list", help=listing)
    add_list(shown)
    add_client(shown, list_factors)
    end = commands.add_parser("end", help="end factors before their time")
    add_many(end, "factors", "NUMBER", number, "their numbers")
    add_change(end, end_factors)


def set_factor(options: argparse.Namespace) -> None:
    api = client(options)
    form = {
        **named(api, options),
        "group": options.group,
        "upload_percent": options.upload,
        "download_percent": options.download,
        "from": options.begin,
        "until": options.until,
        "label": options.label,
    }
    factor = api.set_factor(form)
    if options.json:
        say_json(factor)
    else:
        say(str(factor["factor"]))


def list_factors(options: argparse.Namespace) -> None:
    say_list(options, _COLUMNS, client(options).factors(), by_name(_COLUMNS))


def end_factors(options: argparse.Namespace) -> None:
    do_each(options, options.factors, "ended", Client.end_factor)


def _percent(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > MOST_PERCENT:
        raise argparse.ArgumentTypeError(f"expected a percentage up to {MOST_PERCENT}")
    return int(text)
