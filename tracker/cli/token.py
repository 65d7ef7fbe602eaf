"""`tracker token`: issues, lists and revokes access tokens through the running tracker's API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tracker.cli.api_client import ApiError
from tracker.cli.api_options import add_change, add_client, client, line, naming, say_done
from tracker.cli.options import add_many
from tracker.cli.output import say, say_json
from tracker.cli.tables import NUMBER, TIME, Column, add_list, by_name, say_list
from tracker.cli.time_options import when
from tracker.ports import TOKEN_SCOPES

if TYPE_CHECKING:
    import argparse

_COLUMNS = (
    Column("token", NUMBER), Column("label"), Column("scope"), Column("state"),
    Column("valid_until", TIME, "never"), Column("last_used", TIME, "never"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="issue an access token and print it, this once")
    add.add_argument("label", metavar="LABEL", type=line, help="names the author of its changes")
    add.add_argument(
        "--scope", choices=TOKEN_SCOPES, required=True,
        help="what it may do; moderator: whitelist, revoke and block",
    )  # fmt: skip
    add.add_argument(
        "--until", metavar="TIME", type=when, help="when it expires; never unless said"
    )
    add_change(add, add_token, reason_needed=True)
    listing = commands.add_parser("list", help="list those that were issued")
    add_list(listing)
    add_client(listing, list_tokens, of_log=False)
    own = commands.add_parser("own", help="show label and scope of the token that is used")
    add_client(own, show_own, of_log=False)
    revoke = commands.add_parser("revoke", help="revoke access tokens, at once")
    add_many(revoke, "tokens", "NUMBER|LABEL", line, "their numbers or labels")
    add_change(revoke, revoke_tokens, reason_needed=True)


def add_token(options: argparse.Namespace) -> None:
    form = {"label": options.label, "scope": options.scope, "until": options.until}
    issued = client(options).issue_token(form)
    if options.json:
        say_json(issued)
    else:
        say(issued["text"])


def list_tokens(options: argparse.Namespace) -> None:
    say_list(options, _COLUMNS, client(options).tokens(), by_name(_COLUMNS))


def show_own(options: argparse.Namespace) -> None:
    found = client(options).own_token()
    if options.json:
        say_json(found)
    else:
        addresses = "may see addresses" if found["addresses"] else "without addresses"
        say(f"{found['label']}: {found['scope']}, {addresses}")


def revoke_tokens(options: argparse.Namespace) -> None:
    api = client(options)
    known = {one["label"]: one["token"] for one in api.tokens() if one["state"] == "valid"}
    for name in options.tokens:
        with naming(name):
            number = known.get(name)
            if number is None and not re.fullmatch(r"[1-9][0-9]{0,9}", name):
                raise ApiError("no access token with this label is in force")
            api.revoke_token(int(name) if number is None else number)
        say_done(options, "revoked", name)
