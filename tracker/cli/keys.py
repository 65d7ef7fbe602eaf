"""`tracker key`, `tracker whitelist` and `tracker stats`: thin clients of the running tracker's API.

They change nothing themselves: the tracker that runs is the log's only writer.
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from tracker.cli.asking import add_change, add_client, client, done, line, say_json
from tracker.cli.shared import info_hash, say

MAX_SECONDS = 2**63 - 1

# What a line of `key list` shows, and what stands for nothing.
_ABSENT = {"key_ref": "", "state": "", "valid_until": "permanent", "owner": "-", "label": ""}


def add_to(commands: Any) -> None:
    _add_key(
        commands.add_parser(
            "key", help="issue, list, revoke or rotate tracker keys, through the running API"
        )
    )
    whitelist = commands.add_parser("whitelist", help="list or change it, through the running API")
    _add_whitelist(whitelist)
    stats = commands.add_parser("stats", help="print the running tracker's counters")
    stats.add_argument(
        "--metrics", action="store_true", help="all that Prometheus is told, instead"
    )
    add_client(stats, print_stats)


def _add_key(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="issue a key and print it")
    validity = add.add_mutually_exclusive_group()
    validity.add_argument("--seconds", metavar="N", type=_seconds, help="valid for so long")
    validity.add_argument("--permanent", action="store_true", help="valid for ever (the default)")
    add.add_argument("--key", type=_key, help="this key, not a random one: 32 letters and digits")
    add.add_argument("--owner", type=line, help="whose it is: keys of one owner share an account")
    add.add_argument("--label", type=line, help="a note beside the key")
    add_change(add, add_key)
    listing = commands.add_parser("list", help="list keys: number, state, end, owner, label")
    listing.add_argument("--owner", type=line, help="only the keys of this owner")
    listing.add_argument("--state", choices=("valid", "expired", "revoked"), help="only such keys")
    add_client(listing, list_keys)
    revoke = commands.add_parser("revoke", help="revoke a key, at once")
    revoke.add_argument("key", metavar="KEY|KEY_REF", type=_key_or_ref)
    add_change(revoke, revoke_key)
    rotate = commands.add_parser("rotate", help="replace a key by a new one of its account")
    rotate.add_argument("key", metavar="KEY|KEY_REF", type=_key_or_ref)
    add_change(rotate, rotate_key)


def _add_whitelist(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="whitelist torrents")
    add.add_argument("hashes", metavar="HASH", nargs="+", type=info_hash)
    add_change(add, whitelist_add)
    add_client(commands.add_parser("list", help="list whitelisted torrents"), list_whitelist)
    remove = commands.add_parser("remove", help="take torrents off the whitelist")
    remove.add_argument("hashes", metavar="HASH", nargs="+", type=info_hash)
    add_change(remove, whitelist_remove)


# What they do.


def print_stats(options: argparse.Namespace) -> None:
    if options.metrics:
        print_metrics(options)
        return
    stats = client(options).stats()
    if options.json:
        say_json(stats)
        return
    for name, value in stats.items():
        say(f"{name} {value}")


def print_metrics(options: argparse.Namespace) -> None:
    for metric in client(options).metrics():
        if options.json:
            say_json(metric)
            continue
        for sample in metric["samples"]:
            labels = " ".join(f"{one['name']}={one['value']}" for one in sample["labels"])
            say(f"{metric['name']} {sample['value']} {labels}".rstrip())


def add_key(options: argparse.Namespace) -> None:
    form = {
        "key": options.key,
        "seconds": options.seconds,
        "owner": options.owner,
        "label": options.label,
    }
    _say_issued(options, client(options).add_key(form))


def list_keys(options: argparse.Namespace) -> None:
    filters = {"owner": options.owner, "state": options.state}
    for key in client(options).keys({name: text for name, text in filters.items() if text}):
        if options.json:
            say_json(key)
        else:
            say("\t".join(str(key.get(name) or _ABSENT[name]) for name in _ABSENT))


def rotate_key(options: argparse.Namespace) -> None:
    _say_issued(options, client(options).rotate_key(options.key))


def _say_issued(options: argparse.Namespace, issued: dict[str, Any]) -> None:
    if options.json:
        say_json(issued)
    else:
        say(issued["key"])


def revoke_key(options: argparse.Namespace) -> None:
    client(options).revoke_key(options.key)
    done(options, "revoked", options.key)


def whitelist_add(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.hashes:
        api.whitelist_add(one)
        done(options, "whitelisted", one)


def whitelist_remove(options: argparse.Namespace) -> None:
    api = client(options)
    for one in options.hashes:
        api.whitelist_remove(one)
        done(options, "delisted", one)


def list_whitelist(options: argparse.Namespace) -> None:
    for one in client(options).whitelist():
        if options.json:
            say_json({"info_hash": one})
        else:
            say(one)


# Arguments.


def _key(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z]{32}", text):
        raise argparse.ArgumentTypeError("a key is 32 letters and digits")
    return text


def _key_or_ref(text: str) -> str:
    """A key, or the number that stands for it everywhere but in clients."""
    return text if re.fullmatch(r"[1-9][0-9]{0,9}", text) else _key(text)


def _seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > MAX_SECONDS:
        raise argparse.ArgumentTypeError("expected a number of seconds")
    return int(text)
