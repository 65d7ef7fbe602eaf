"""`tracker account`: shows and corrects an account's totals through the running tracker's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_options import (
    add_change,
    add_client,
    client,
    line,
    naming,
    number,
    say_done,
    say_json,
)
from tracker.cli.lists import add_query, say_rows
from tracker.cli.options import add_many
from tracker.cli.output import say
from tracker.cli.tables import BYTES, NUMBER, TIME, Column, say_facts

if TYPE_CHECKING:
    import argparse

_COLUMNS = (
    Column("account", NUMBER), Column("owner"), Column("credited_uploaded", BYTES, heading="uploaded"),
    Column("credited_downloaded", BYTES, heading="downloaded"), Column("ratio", NUMBER),
    Column("snatched", NUMBER), Column("last_seen", TIME),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="print an account's totals")
    show.add_argument("account", type=line, help="its number or owner")
    add_client(show, show_account)
    listing = commands.add_parser("list", help="list accounts with their totals")
    add_query(listing, list_accounts)
    group = commands.add_parser("group", help="put accounts into a group, whose factors count")
    add_many(group, "accounts", "ACCOUNT", line, "numbers or owners")
    which = group.add_mutually_exclusive_group(required=True)
    which.add_argument("--name", type=line, help="the group; each account is in one at most")
    which.add_argument("--none", action="store_true", help="take them out of their group")
    add_change(group, group_accounts)
    correct = commands.add_parser(
        "correct", help="add to an account's credited totals, and print the event's number"
    )
    correct.add_argument("account", type=line, help="its number or owner")
    correct.add_argument("--uploaded", metavar="BYTES", type=int, help="to add; may be negative")
    correct.add_argument("--downloaded", metavar="BYTES", type=int, help="likewise")
    correct.add_argument(
        "--corrects",
        metavar="SEQ",
        type=number,
        required=True,
        help="the event that it makes good",
    )
    correct.add_argument(
        "--idempotency-key", metavar="KEY", type=line, default="", help="repeating it does no harm"
    )
    add_change(correct, correct_account, reason_needed=True)


def show_account(options: argparse.Namespace) -> None:
    api = client(options)
    account = api.account(api.account_of(options.account))
    say_facts(options, account)


def list_accounts(options: argparse.Namespace) -> None:
    say_rows(options, "accounts", _COLUMNS)


def group_accounts(options: argparse.Namespace) -> None:
    api = client(options)
    for who in options.accounts:
        with naming(who):
            api.group(api.account_of(who), options.name)
        say_done(options, "grouped", who)


def correct_account(options: argparse.Namespace) -> None:
    api = client(options)
    form = {
        "uploaded": options.uploaded,
        "downloaded": options.downloaded,
        "corrects": options.corrects,
    }
    corrected = api.correct(api.account_of(options.account), form, options.idempotency_key)
    if options.json:
        say_json(corrected)
    else:
        say(str(corrected["seq"]))
