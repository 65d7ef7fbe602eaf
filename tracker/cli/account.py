"""`tracker account`: shows and corrects an account's totals, and imposes sanctions.

It uses the running tracker's API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli import account_moves
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
from tracker.cli.output import CannotError, say
from tracker.cli.standing import add_standing, moment, say_standing
from tracker.cli.tables import BYTES, NUMBER, TIME, WORD, Column, say_facts
from tracker.cli.time_options import when

if TYPE_CHECKING:
    import argparse

_REFUSALS = 5
"""The newest refusals that `show` prints; `--json` has 20."""
_COLUMNS = (
    Column("account", NUMBER), Column("owner"), Column("credited_uploaded", BYTES, heading="uploaded"),
    Column("credited_downloaded", BYTES, heading="downloaded"), Column("ratio", NUMBER),
    Column("snatched", NUMBER), Column("last_seen", TIME), Column("merged_into", NUMBER),
)  # fmt: skip


_SANCTIONS = {
    "leech-off": ("leech_off", "give accounts no peers while something is left"),
    "hide": ("hidden", "list no peer of accounts in replies"),
}
"""The sanctions by their commands, and what they do."""


_LIMITS = {
    "slots": "torrents that they leech at once",
    "locations": "their peers on one torrent",
    "started_per_day": "torrents that they start in a day",
    "handed_per_hour": "peers that replies hand to them in an hour",
    "handed_per_day": "the same in a day",
}
"""The limits by the names of the API."""
_USED = "slots", "started_today", "handed_this_hour", "handed_today"
"""What `show` prints of what an account uses of its limits."""


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser(
        "show", help="print all about an account: totals, presence, refusals and so on"
    )
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
    for name, (what, text) in _SANCTIONS.items():
        one = commands.add_parser(name, help=f"{text}; print the events' numbers")
        add_many(one, "accounts", "ACCOUNT", line, "numbers or owners")
        how = one.add_mutually_exclusive_group()
        how.add_argument("--until", metavar="TIME", type=when, help="until lifted unless said")
        how.add_argument("--lift", action="store_true", help="lift it")
        add_change(one, sanction_accounts, reason_needed=True)
        one.set_defaults(what=what)
    account_moves.add_to(commands)
    limit = commands.add_parser(
        "limit", help="give accounts limits of their own; print the events' numbers"
    )
    add_many(limit, "accounts", "ACCOUNT", line, "numbers or owners")
    for name, text in _LIMITS.items():
        option = f"--{name.replace('_', '-')}"
        limit.add_argument(option, metavar="N", type=number, help=f"{text}; 0 = no limit")
    limit.add_argument(
        "--lift", action="store_true", help="have the policy's; so has a limit that is not given"
    )
    add_change(limit, limit_accounts, reason_needed=True)
    listing = commands.add_parser("limits", help="list accounts with limits of their own")
    add_standing(listing, list_limits)
    listing = commands.add_parser("sanctions", help="list accounts with leech off, or hidden")
    add_standing(listing, list_sanctions)


def show_account(options: argparse.Namespace) -> None:
    api = client(options)
    page = api.account_page(api.account_of(options.account))
    if options.json:
        say_json(page)
        return
    states, last = page["hit_and_run"]["states"], page["last_announce"]
    account = page["account"]
    if account["merged_into"] is None:
        del account["merged_into"], account["merged_at"]
    facts = account | {
        "missing_to_ratio_1": page["missing_to_ratio_1"],
        "seeding": page["seeding"],
        "leeching": page["leeching"],
        **{name: _used(page[name]) for name in _USED},
        "immune": page["immune"],
        "hit_and_run": [f"{count} {state}" for state, count in states.items()],
        "last_announce": last and f"{last['time']} {last['words']}",
        "networks": [one["network"] or one["pseudonym"] for one in page["networks"] or ()],
        "open_cases": [one["detector"] for one in page["open_cases"]],
    }
    for at, one in enumerate(page["refusals"][:_REFUSALS], 1):
        which = one["label"] or one["info_hash"] or "no torrent"
        facts[f"refusal_{at}"] = f"{one['time']} {one['reason']}: {which}"
    say_facts(options, facts)


def _used(one: dict[str, int | None]) -> str:
    return f"{one['used']} of {one['limit'] or 'any number'}"


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


def sanction_accounts(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.accounts:
        with naming(one):
            account = api.account_of(one)
            if options.lift:
                done = api.lift(options.what, account)
            else:
                done = api.impose(options.what, account, options.until)
        if options.json:
            say_json({"account": account, **done})
        else:
            say(str(done["seq"]))


def limit_accounts(options: argparse.Namespace) -> None:
    own = {name: getattr(options, name) for name in _LIMITS}
    given = any(each is not None for each in own.values())
    if given == options.lift:
        raise CannotError("expected limits such as --slots 10, or else --lift")
    api = client(options)
    for one in options.accounts:
        with naming(one):
            account = api.account_of(one)
            done = api.limit(account, own)
        if options.json:
            say_json({"account": account, **done})
        else:
            say(str(done["seq"]))


def list_limits(options: argparse.Namespace) -> None:
    listed = client(options).limits(moment(options))
    rows = ({**one, **one["own"], "until": None} for one in listed)
    names = (Column(name, NUMBER) for name in ("slots_used", *_USED[1:], *_LIMITS))
    say_standing(options, (Column("account", NUMBER), Column("owner"), *names), rows)


def list_sanctions(options: argparse.Namespace) -> None:
    rows = (
        {"account": one["account"], "owner": one["owner"], "sanction": what, **one[what]}
        for one in client(options).sanctions(moment(options))
        for what, _ in _SANCTIONS.values()
        if one[what] is not None
    )
    columns = Column("account", NUMBER), Column("owner"), Column("sanction", WORD)
    say_standing(options, columns, rows)
