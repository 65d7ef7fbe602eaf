"""`tracker ledger`: the announces behind an account's totals. Reads beside a running tracker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eventlog import Reader
from tracker import narrate
from tracker.cli.shared import CannotError, add_config, add_log, info_hash, log_and_keys, say
from tracker.ledger import Ledger

if TYPE_CHECKING:
    import argparse

    from tracker.ledger import Entry

_COLUMNS = "{:>10}  {:<27}  {:<40}  {:<9}  {:>16}  {:>16}  {:>14}  {:>14}  {}"


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "ledger",
        help="list the announces behind an account's totals",
        description="List every announce of an account, what it added to the totals, and by which rule. "
        "The sums are exact.",
    )
    add_config(parser)
    add_log(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, the sums last")
    parser.add_argument("who", metavar="ACCOUNT|KEY_REF", help="an owner, or the number of a key")
    parser.add_argument(
        "info_hash", metavar="INFO_HASH", nargs="?", type=info_hash, help="only of this torrent"
    )
    parser.set_defaults(run=print_ledger)


def print_ledger(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    only = bytes.fromhex(options.info_hash) if options.info_hash else None
    ledger = Ledger(options.who, only)
    entries = up = down = 0
    if not options.json:
        say(_heading())
    for entry in ledger.entries(Reader(folder, keys=keys).frames()):
        say(_json(entry) if options.json else _row(entry))
        entries += 1
        up += entry.delta_uploaded
        down += entry.delta_downloaded
    if not ledger.known:
        raise CannotError(f"no key was issued to an account or under a number {options.who}")
    sums = {"announces": entries, "uploaded": up, "downloaded": down}
    say(
        json.dumps(sums)
        if options.json
        else f"{entries} announces: uploaded {up}, downloaded {down}"
    )
    return 0


def _heading() -> str:
    return _COLUMNS.format(
        "seq", "time", "info_hash", "event", "uploaded", "downloaded", "+up", "+down", "rule"
    )


def _row(entry: Entry) -> str:
    return _COLUMNS.format(
        entry.seq, narrate.rfc3339(entry.time_us), entry.info_hash.hex(), entry.event,
        entry.uploaded, entry.downloaded, entry.delta_uploaded, entry.delta_downloaded, entry.rule,
    )  # fmt: skip


def _json(entry: Entry) -> str:
    shown: dict[str, object] = entry._asdict()
    shown["time"] = narrate.rfc3339(entry.time_us)
    del shown["time_us"]
    shown |= {"info_hash": entry.info_hash.hex(), "peer_id": entry.peer_id.hex()}
    return json.dumps(shown)
