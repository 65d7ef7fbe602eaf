"""`tracker client`: refuses versions of clients, and lists and ends such rules, through the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.cli.api_options import add_change, add_client, client, line, naming, number, say_json
from tracker.cli.options import add_many
from tracker.cli.output import say
from tracker.cli.standing import add_standing, moment, say_standing
from tracker.cli.tables import NUMBER, TIME, Column, say_facts
from tracker.cli.time_options import when

if TYPE_CHECKING:
    import argparse

_COLUMNS = (
    Column("rule", NUMBER), Column("client"), Column("first"), Column("last"),
    Column("from", TIME), Column("in_force"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    refuse = commands.add_parser("refuse", help="refuse versions of a client; print the number")
    _add_terms(refuse)
    refuse.add_argument(
        "--from", dest="begin", metavar="TIME", type=when,
        help="from then on, with a warning until then; at once unless said",
    )  # fmt: skip
    refuse.add_argument("--public", action="store_true", help="clients get the reason")
    add_change(refuse, refuse_client, reason_needed=True)
    preview = commands.add_parser("preview", help="count who uses these versions now")
    _add_terms(preview)
    add_client(preview, preview_rule)
    listing = commands.add_parser("list", help="list the versions that are refused, or will be")
    add_standing(listing, list_rules)
    end = commands.add_parser("end", help="take these versions again")
    add_many(end, "rules", "NUMBER", number, "as `list` prints them")
    add_change(end, end_rules, reason_needed=True)


def _add_terms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", metavar="CLIENT", type=line, help="as peer ids begin: qB, -qB")
    parser.add_argument("--first", metavar="VERSION", type=line, default="", help="such as 4500")
    parser.add_argument("--last", metavar="VERSION", type=line, default="", help="such as 4599")


def _terms(options: argparse.Namespace) -> dict[str, str]:
    """Returns client and versions. A name without its dash is taken too, because an argument that
    begins with a dash needs `--` before it.
    """
    name = options.client
    return {
        "client": f"-{name}" if len(name) == 2 else name,
        "first": options.first,
        "last": options.last,
    }


def refuse_client(options: argparse.Namespace) -> None:
    terms = {name: text or None for name, text in _terms(options).items()}
    form = {**terms, "from": options.begin, "public": options.public}
    rule = client(options).rule_client(form)
    if options.json:
        say_json(rule)
    else:
        say(str(rule["rule"]))


def preview_rule(options: argparse.Namespace) -> None:
    say_facts(options, client(options).client_use(_terms(options)))


def list_rules(options: argparse.Namespace) -> None:
    say_standing(options, list(_COLUMNS), client(options).client_rules(moment(options)))


def end_rules(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.rules:
        with naming(str(one)):
            done = api.end_client_rule(one)
        if options.json:
            say_json({"rule": one, **done})
        else:
            say(str(done["seq"]))
