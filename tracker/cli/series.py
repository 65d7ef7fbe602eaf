"""`tracker series`: lists what an account or a torrent gained, day by day.

Reads the book beside a running tracker.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from api.v2.ledger_shapes import day_json
from tracker.cli import trust
from tracker.cli.moment_options import account_number, add_log_and_json, replayed, torrent_hash
from tracker.cli.options import log_and_keys
from tracker.cli.output import CannotError, note
from tracker.cli.tables import BYTES, NUMBER, WORD, Column, add_list, by_name, say_list
from tracker.cli.time_options import date
from tracker.store import book

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from tracker.store.address_keys import Keyring
    from tracker.store.daily_rows import DailyRows

_COLUMNS = (
    Column("date", WORD), Column("uploaded", BYTES), Column("downloaded", BYTES),
    Column("credited_uploaded", BYTES, heading="credited up"),
    Column("credited_downloaded", BYTES, heading="credited down"),
    Column("seeding_seconds", NUMBER, heading="seeding s"), Column("completed", NUMBER),
)  # fmt: skip
_PEAKS = (
    Column("most_seeders", NUMBER, heading="seeders"), Column("most_leechers", NUMBER, heading="leechers"),
)  # fmt: skip
NO_SERIES = (
    "there are no daily series that can be read: a tracker in a private mode keeps them, and reading "
    "them needs the secrets (--secrets)"
)


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List what an account or a torrent gained on each day with a change, by dates in UTC. The "
        "tracker writes it every ten seconds, and keeps it for ever."
    )
    add_log_and_json(parser, "one JSON object a day")
    add_list(parser)
    parser.add_argument(
        "--from", dest="first", metavar="DATE", type=date, default=0, help="from this day on"
    )
    parser.add_argument(
        "--until", metavar="DATE", type=date, default=2**32 - 1, help="up to this day, inclusive"
    )
    parser.add_argument("what", choices=("torrent", "account"))
    parser.add_argument("whose", metavar="TORRENT|OWNER|NUMBER")
    parser.set_defaults(run=print_series)


def print_series(options: argparse.Namespace) -> int:
    if options.until < options.first:
        raise CannotError("--until is before --from")
    folder, keys = log_and_keys(options)
    whose = _whose(options)
    rows = opened(folder, keys)
    days = rows.of(whose, options.first, options.until)
    columns = _COLUMNS + (_PEAKS if options.what == "torrent" else ())
    print_all = partial(say_list, options, columns, map(day_json, days), by_name(columns))
    code = trust.listed(print_all, folder, keys, as_json=options.json)
    if rows.begun:
        note(f"note: the series count from event {rows.begun} on")
    return code


def _whose(options: argparse.Namespace) -> int | bytes:
    if options.what == "account":
        with replayed(options) as log:
            return account_number(log, options.whose)
    return torrent_hash(options, options.whose) or b""


def opened(folder: Path, keys: Keyring | None) -> DailyRows:
    """Opens the series of a log. Raises `CannotError`."""
    found = book.open_newest(folder, keys, note)
    if found is None or found.series is None:
        raise CannotError(NO_SERIES)
    return found.series
