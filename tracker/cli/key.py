"""`tracker key`: issues, lists, revokes and rotates keys through the running tracker's API."""

from __future__ import annotations

import argparse
import re
from contextlib import nullcontext
from typing import Any

from tracker.cli.api_client import KEY_REF
from tracker.cli.api_options import (
    add_change,
    add_client,
    client,
    line,
    naming,
    say_done,
    say_json,
)
from tracker.cli.lists import add_query, say_rows
from tracker.cli.options import add_many
from tracker.cli.output import note, say
from tracker.cli.tables import NUMBER, TIME, Column, say_facts
from tracker.cli.time_options import length
from tracker.ports import MAX_NAME, is_key, is_name

MAX_SECONDS = 2**63 - 1
"""Longest validity, in seconds, that the API takes."""

_COLUMNS = (
    Column("key_ref", NUMBER), Column("state"), Column("valid_until", TIME, "permanent"),
    Column("account", NUMBER), Column("owner"), Column("label", absent=""),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="issue a key and print it")
    validity = add.add_mutually_exclusive_group()
    validity.add_argument(
        "--seconds", metavar="N", type=_seconds, help="valid for so long: seconds, or 30d"
    )
    validity.add_argument("--permanent", action="store_true", help="valid for ever (the default)")
    add.add_argument("--key", type=_key, help="this key, not a random one: 10 to 64 characters")
    add.add_argument("--owner", type=_name, help="whose it is: keys of one owner share an account")
    add.add_argument("--label", type=_name, help="a note beside the key")
    _add_url(add)
    add_change(add, add_key)
    show = commands.add_parser("show", help="print what is known of a key")
    show.add_argument("key", metavar="KEY|KEY_REF", type=_key_or_ref)
    add_client(show, show_key)
    listing = commands.add_parser(
        "list", help="list keys: number, state, end, account, owner, label"
    )
    listing.add_argument("--owner", type=line, help="only the keys of this owner")
    listing.add_argument("--state", choices=("valid", "expired", "revoked"), help="only such keys")
    add_query(listing, list_keys)
    revoke = commands.add_parser("revoke", help="revoke keys, at once")
    add_many(revoke, "keys", "KEY|KEY_REF", _key_or_ref, "keys, or their numbers")
    add_change(revoke, revoke_key)
    owner = commands.add_parser("revoke-owner", help="revoke all keys of owners; print how many")
    add_many(owner, "owners", "OWNER", _name, "the keys of each go together")
    add_change(owner, revoke_owners)
    rotate = commands.add_parser("rotate", help="replace a key by a new one of its account")
    rotate.add_argument("key", metavar="KEY|KEY_REF", type=_key_or_ref)
    _add_url(rotate)
    add_change(rotate, rotate_key)


def add_key(options: argparse.Namespace) -> None:
    form = {
        "key": options.key,
        "seconds": options.seconds,
        "owner": options.owner,
        "label": options.label,
    }
    _say_issued(options, client(options).add_key(form))


def list_keys(options: argparse.Namespace) -> None:
    say_rows(options, "keys", _COLUMNS, {"owner": options.owner, "state": options.state})


def show_key(options: argparse.Namespace) -> None:
    say_facts(options, client(options).key(options.key))


def revoke_key(options: argparse.Namespace) -> None:
    api = client(options)
    for at, key in enumerate(options.keys, 1):
        many = len(options.keys) > 1
        with naming(f"key {at} of {len(options.keys)}") if many else nullcontext():
            api.revoke_key(key)
        say_done(options, "revoked", key)


def revoke_owners(options: argparse.Namespace) -> None:
    api = client(options)
    for owner in options.owners:
        with naming(owner):
            count = api.revoke_owner(owner)
        if options.json:
            say_json({"owner": owner, "revoked": count})
        else:
            say(f"revoked {count}")


def rotate_key(options: argparse.Namespace) -> None:
    _say_issued(options, client(options).rotate_key(options.key))


def _say_issued(options: argparse.Namespace, issued: dict[str, Any]) -> None:
    urls = issued.get("announce_urls")
    if options.json:
        say_json(issued)
        return
    if options.announce_url and not urls:
        note("tracker: no URL is known: set public_url of [[http_trackers]]. The key was issued:")
    for text in urls if options.announce_url and urls else [issued["key"]]:
        say(text)


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--announce-url",
        action="store_true",
        help="print the URLs that its member announces to instead",
    )


def _key(text: str) -> str:
    if not is_key(text):
        raise argparse.ArgumentTypeError("a key is 10 to 64 letters, digits, - and _")
    return text


def _name(text: str) -> str:
    if not is_name(text) or text != text.strip():
        raise argparse.ArgumentTypeError(f"expected one line of 1 to {MAX_NAME} characters")
    return text


def _key_or_ref(text: str) -> str:
    """An argument's type: a key, or the number that stands for it in the log and the API."""
    return text if re.fullmatch(KEY_REF, text) else _key(text)


def _seconds(text: str) -> int:
    """An argument's type: seconds, or a length of time such as 30d."""
    seconds = int(text) if re.fullmatch(r"[0-9]{1,19}", text) else length(text)
    if seconds > MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"expected at most {MAX_SECONDS} seconds")
    return seconds
