"""`tracker ledger`: lists the announces behind an account's totals.

Reads beside a running tracker.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from api.v2.ledger_shapes import entry_json, row_json, sums_json
from eventlog import Reader
from tracker.cli import trust
from tracker.cli.options import add_config, add_log, info_hash, log_and_keys
from tracker.cli.output import CannotError, say, say_json
from tracker.ledger.account import Ledger, find_account
from tracker.ledger.walk import Decryption, Walk
from tracker.ports import LedgerCorrection, LedgerOpening
from tracker.store import checked_segments
from tracker.times import rfc3339

if TYPE_CHECKING:
    import argparse

    from tracker.ledger.sums import Sums
    from tracker.ports import Client, LedgerEntry

_COLUMNS = (
    "{:>10}  {:<27}  {:<40}  {:<10}  {:>16}  {:>16}  {:>14}  {:>14}  {:>14}  {:>14}  {:<32}  {}"
)
_SUMS = "{:<40}  {:>10}  {:>16}  {:>16}  {:>16}  {:>16}  {:>10}  {:>10}  {:>8}  {:>8}  {:<27}  {}"

_BOOK = "{:<40}  {:>16}  {:>16}  {:>16}  {:>16}  {:>10}  {:>10}  {:>8}  {:<27}  {:<27}  {:<27}  {}"
_BOOK_HEADING = (
    "torrent", "uploaded", "downloaded", "credited up", "credited down", "seeding s", "partial s",
    "snatched", "completed at", "first seen", "last seen", "client",
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List every announce and correction of an account, what it added to the totals, raw and "
        "credited, and by which rule; then the totals by torrent. The sums are exact."
    )
    add_config(parser)
    add_log(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, the sums last")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--totals", action="store_true", help="the sums only")
    what.add_argument(
        "--torrents", action="store_true", help="one line a torrent, as in the book, in their place"
    )
    parser.add_argument("who", metavar="ACCOUNT|KEY_REF", help="an owner, or the number of a key")
    parser.add_argument(
        "info_hash", metavar="INFO_HASH", nargs="?", type=info_hash, help="only of this torrent"
    )
    parser.set_defaults(run=print_ledger)


def print_ledger(options: argparse.Namespace) -> int:
    folder, keys = log_and_keys(options)
    only = bytes.fromhex(options.info_hash) if options.info_hash else None
    reader = Reader(folder, keys=keys)
    checked_segments.check_old(folder, reader.first_seq, keys)
    kept = checked_segments.read_kept(folder, reader.first_seq, keys)
    account = find_account(options.who, chain(kept, reader.frames()))
    if account is None:
        raise CannotError(f"no account has the owner {options.who}, and no key that number")
    decrypt = Decryption(folder, keys)
    ledger = Ledger(account, only, decrypt)
    print_all = partial(_print, Walk(folder, decrypt), ledger, only, options)
    return trust.listed(print_all, folder, keys, as_json=options.json)


def _print(walk: Walk, ledger: Ledger, only: bytes | None, options: argparse.Namespace) -> None:
    entries = not (options.totals or options.torrents)
    if entries and not options.json:
        say(_heading())
    for entry in walk.tell(ledger):
        if entries:
            if options.json:
                say_json(entry_json(entry))
            else:
                say(_row(entry))
    if options.torrents:
        _print_rows(ledger, only, as_json=options.json)
    else:
        _print_sums(ledger, only, as_json=options.json)


def _print_rows(ledger: Ledger, only: bytes | None, *, as_json: bool) -> None:
    """Prints the account's rows of the book as they are at the end of the log."""
    if not as_json:
        say(_BOOK.format(*_BOOK_HEADING))
    for row in ledger.rows():
        if only not in (None, row.info_hash):
            continue
        client = ledger.client(row.client or 0)
        if as_json:
            name = {"info_hash": row.info_hash.hex() if row.info_hash else None}
            say_json(name | row_json(row, client))
            continue
        say(
            _BOOK.format(
                row.info_hash.hex() if row.info_hash else "no torrent",
                row.uploaded, row.downloaded, row.credited_uploaded, row.credited_downloaded,
                row.seeding_us // 1_000_000, row.partial_us // 1_000_000, row.snatched,
                *(_time(each or 0) for each in (row.completed_us, row.first_us, row.last_us)),
                _client(client),
            )
        )  # fmt: skip


def _print_sums(ledger: Ledger, only: bytes | None, *, as_json: bool) -> None:
    """Prints the totals of each torrent, then the account's; with `only`, of that torrent alone."""
    if not as_json:
        say(_sums_heading())
    torrents = ledger.sums() if only is None else {only: ledger.of_torrent(only)}
    for torrent, sums in torrents.items():
        name = torrent.hex() if torrent else None
        if as_json:
            say_json({"type": "torrent", "info_hash": name, **sums_json(sums.value())})
        else:
            say(_sums_row(name or "no torrent", sums))
    if only is None:
        whole = ledger.whole()
        shown = {"type": "account", **sums_json(whole.value())}
        if as_json:
            say_json(shown)
        else:
            say(_sums_row("the account", whole))


def _heading() -> str:
    return _COLUMNS.format(
        "seq", "time", "info_hash", "event", "uploaded", "downloaded", "+up", "+down",
        "+credited up", "+credited down", "client", "rule",
    )  # fmt: skip


def _row(entry: LedgerEntry) -> str:
    if isinstance(entry, LedgerOpening):
        totals = entry.totals
        return _COLUMNS.format(
            entry.seq, rfc3339(entry.time_us), "", "opening", "", "", totals.uploaded,
            totals.downloaded, totals.credited_uploaded, totals.credited_downloaded,
            "", "balance of the events before, which were removed",
        )  # fmt: skip
    shown_hash = entry.info_hash.hex() if entry.info_hash else ""
    seq, time = entry.seq, rfc3339(entry.time_us)
    credited = entry.credited_uploaded, entry.credited_downloaded
    if isinstance(entry, LedgerCorrection):
        rule = f"corrects {entry.corrects}: {json.dumps(entry.reason, ensure_ascii=False)}"
        return _COLUMNS.format(
            seq, time, shown_hash, "correction", "", "", "", "", *credited, "", rule
        )  # fmt: skip
    return _COLUMNS.format(
        seq, time, shown_hash, entry.event, entry.uploaded, entry.downloaded,
        entry.delta_uploaded, entry.delta_downloaded, *credited, _client(entry.client), entry.rule,
    )  # fmt: skip


def _client(client: Client | None) -> str:
    if client is None:
        return ""
    return " ".join(filter(None, (client.peer_id_prefix, client.user_agent)))


def _sums_heading() -> str:
    return _SUMS.format(
        "totals of", "announces", "uploaded", "downloaded", "credited up", "credited down",
        "seeding s", "partial s", "sessions", "snatched", "first seen", "last seen",
    )  # fmt: skip


def _sums_row(name: str, sums: Sums) -> str:
    totals = sums.totals
    return _SUMS.format(
        name, sums.announces, totals.uploaded, totals.downloaded, totals.credited_uploaded,
        totals.credited_downloaded, totals.seeding_us // 1_000_000,
        totals.partial_us // 1_000_000, totals.sessions, totals.snatched, _time(totals.first_us), _time(totals.last_us),
    )  # fmt: skip


def _time(time_us: int) -> str:
    return rfc3339(time_us) if time_us else ""
