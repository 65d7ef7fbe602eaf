"""`tracker factor` and `tracker account`: credit factors, and accounts and their corrections, through the running tracker's API."""

from __future__ import annotations

import argparse
import re
from typing import Any

from tracker.cli.asking import add_change, add_client, client, done, line, say_json
from tracker.cli.shared import info_hash, say

MAX_PERCENT = 10_000

# What a line of `factor list` shows, and what stands for nothing.
_ABSENT = {
    "factor": "", "account": "all", "info_hash": "all", "upload_percent": "-", "download_percent": "-",
    "from": "", "until": "-", "label": "",
}  # fmt: skip


def add_to(commands: Any) -> None:
    _add_factor(
        commands.add_parser(
            "factor", help="set, list or end credit factors, through the running API"
        )
    )
    _add_account(
        commands.add_parser("account", help="show or correct an account, through the running API")
    )


def _add_factor(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    put = commands.add_parser("set", help="set a factor and print its number")
    put.add_argument("--account", type=line, help="for this account alone: its number or owner")
    put.add_argument("--torrent", metavar="HASH", type=info_hash, help="for this torrent alone")
    put.add_argument("--upload", metavar="PERCENT", type=_percent, help="what uploads count")
    put.add_argument(
        "--download", metavar="PERCENT", type=_percent, help="what downloads count; 0 is freeleech"
    )
    put.add_argument("--from", dest="begin", metavar="TIME", type=line, help="from now unless said")
    put.add_argument("--until", metavar="TIME", type=line, help="until ended unless said")
    put.add_argument("--label", type=line, help="a name for people")
    add_change(put, set_factor)
    listing = "list those in force and to come: number, account, torrent, percentages, times, label"
    add_client(commands.add_parser("list", help=listing), list_factors)
    end = commands.add_parser("end", help="end factors before their time")
    end.add_argument("factors", metavar="NUMBER", nargs="+", type=_number)
    add_change(end, end_factors)


def _add_account(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="print an account's totals")
    show.add_argument("account", type=line, help="its number or owner")
    add_client(show, show_account)
    correct = commands.add_parser(
        "correct", help="add to an account's credited totals, and print the event's number"
    )
    correct.add_argument("account", type=line, help="its number or owner")
    correct.add_argument("--uploaded", metavar="BYTES", type=int, help="to add; may be negative")
    correct.add_argument("--downloaded", metavar="BYTES", type=int, help="likewise")
    correct.add_argument(
        "--corrects",
        metavar="SEQ",
        type=_number,
        required=True,
        help="the event that it makes good",
    )
    correct.add_argument(
        "--idempotency-key", metavar="KEY", type=line, default="", help="repeating it does no harm"
    )
    add_change(correct, correct_account, reason_needed=True)


def set_factor(options: argparse.Namespace) -> None:
    api = client(options)
    form = {
        "account": None if options.account is None else api.account_of(options.account),
        "info_hash": options.torrent,
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
    for factor in client(options).factors():
        if options.json:
            say_json(factor)
            continue
        shown = ((factor.get(name), nothing) for name, nothing in _ABSENT.items())
        say("\t".join(nothing if value is None else str(value) for value, nothing in shown))


def end_factors(options: argparse.Namespace) -> None:
    api = client(options)
    for number in options.factors:
        api.end_factor(number)
        done(options, "ended", str(number))


def show_account(options: argparse.Namespace) -> None:
    api = client(options)
    account = api.account(api.account_of(options.account))
    if options.json:
        say_json(account)
        return
    for name, value in account.items():
        say(f"{name} {'-' if value is None else value}")


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


# Arguments.


def _percent(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > MAX_PERCENT:
        raise argparse.ArgumentTypeError(f"expected a percentage up to {MAX_PERCENT}")
    return int(text)


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError("expected a number")
    return int(text)
