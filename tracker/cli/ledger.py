"""`tracker ledger`: lists the announces behind an account's totals.

Reads beside a running tracker.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from api.v2.ledger_shapes import entry_json, row_json, sums_json
from eventlog import Reader
from tracker.cli import trust
from tracker.cli.moment_options import add_names, names_now
from tracker.cli.options import add_config, add_log, info_hash, log_and_keys
from tracker.cli.output import CannotError
from tracker.cli.tables import (
    BYTES,
    HASH,
    NUMBER,
    TIME,
    WORD,
    Column,
    add_list,
    by_name,
    on_terminal,
    say_list,
    with_names,
)
from tracker.ledger.account import Ledger, find_account
from tracker.ledger.walk import Decryption, Walk, rereading
from tracker.ports import named
from tracker.store import checked_segments

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracker.ports import Names

_ENTRY = (
    Column("seq", NUMBER), Column("time", TIME), Column("info_hash", HASH), Column("event", WORD),
    Column("credited_uploaded", BYTES, heading="+credited up"),
    Column("credited_downloaded", BYTES, heading="+credited down"), Column("rule"),
    Column("delta_uploaded", BYTES, heading="+up"), Column("delta_downloaded", BYTES, heading="+down"),
    Column("uploaded", BYTES), Column("downloaded", BYTES), Column("client"),
)  # fmt: skip
_CREDITED = (
    Column("credited_uploaded", BYTES, heading="credited up"),
    Column("credited_downloaded", BYTES, heading="credited down"),
)
_RAW = Column("uploaded", BYTES), Column("downloaded", BYTES)
_SUMS = (
    Column("info_hash", HASH, "no torrent", heading="totals of"), Column("announces", NUMBER), *_RAW,
    *_CREDITED, Column("seeding_seconds", NUMBER, heading="seeding s"),
    Column("partial_seeding_seconds", NUMBER, heading="partial s"), Column("sessions", NUMBER),
    Column("snatched", NUMBER), Column("first_seen", TIME), Column("last_seen", TIME),
)  # fmt: skip
_BOOK = (
    Column("info_hash", HASH, "no torrent"), *_RAW, *_CREDITED,
    Column("seeding_seconds", NUMBER, heading="seeding s"),
    Column("partial_seeding_seconds", NUMBER, heading="partial s"), Column("snatched", NUMBER),
    Column("completed_at", TIME), Column("first_seen", TIME), Column("last_seen", TIME),
    Column("client"),
)  # fmt: skip


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List every announce and correction of an account, what it added to the totals, raw and "
        "credited, and by which rule; then the totals by torrent. The sums are exact."
    )
    add_config(parser)
    add_log(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a line, the sums last")
    add_list(parser)
    add_names(parser)
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
    ledger = Ledger(account, only, decrypt, rereading(folder, decrypt))
    print_all = partial(_print, Walk(folder, decrypt), ledger, only, names_now(options), options)
    return trust.listed(print_all, folder, keys, as_json=options.json)


def _print(
    walk: Walk,
    ledger: Ledger,
    only: bytes | None,
    names: Names | None,
    options: argparse.Namespace,
) -> None:
    def say(
        columns: Sequence[Column],
        items: Iterable[dict[str, Any]],
        row: Callable[[Sequence[Column]], Callable[[dict[str, Any]], list[object]]],
    ) -> None:
        shown = (named(one, names) for one in items) if names else items
        wide = with_names(options, columns)
        say_list(options, wide, shown, row(wide))

    if options.totals or options.torrents:
        for _ in walk.tell(ledger):
            pass
    else:
        say(_ENTRY, map(entry_json, walk.tell(ledger)), _entry_row)
    if options.torrents:
        say(_BOOK, _book(ledger, only), _with_client)
    elif options.totals or options.json or on_terminal():
        say(_SUMS, _sums(ledger, only), _sums_row)


def _book(ledger: Ledger, only: bytes | None) -> Iterator[dict[str, Any]]:
    """Yields the account's rows of the book as they are at the end of the log."""
    for row in ledger.rows():
        if only in (None, row.info_hash):
            name = {"info_hash": row.info_hash.hex() if row.info_hash else None}
            yield name | row_json(row, ledger.client(row.client or 0))


def _sums(ledger: Ledger, only: bytes | None) -> Iterator[dict[str, Any]]:
    """Yields the totals of each torrent, then the account's; with `only`, of that torrent alone."""
    torrents = ledger.sums() if only is None else {only: ledger.of_torrent(only)}
    for torrent, sums in torrents.items():
        name = torrent.hex() if torrent else None
        yield {"type": "torrent", "info_hash": name, **sums_json(sums.value())}
    if only is None:
        yield {"type": "account", **sums_json(ledger.whole().value())}


def _sums_row(columns: Sequence[Column]) -> Callable[[dict[str, Any]], list[object]]:
    def row(one: dict[str, Any]) -> list[object]:
        return by_name(columns)(
            {**one, "info_hash": "account"} if one["type"] == "account" else one
        )

    return row


def _entry_row(columns: Sequence[Column]) -> Callable[[dict[str, Any]], list[object]]:
    row = _with_client(columns)
    return lambda one: row({**one, **_told(one)})


def _told(one: dict[str, Any]) -> dict[str, Any]:
    """Returns what an entry's row has in place of its members. An opening has sums in the place of
    what an announce added.
    """
    told: dict[str, Any]
    match one["type"]:
        case "opening":
            told = {
                "event": "opening", "rule": "balance of the events before, which were removed",
                "delta_uploaded": one["uploaded"], "delta_downloaded": one["downloaded"],
                "uploaded": None, "downloaded": None,
            }  # fmt: skip
        case "correction":
            reason = json.dumps(one["reason"], ensure_ascii=False)
            told = {"event": "correction", "rule": f"corrects {one['corrects']}: {reason}"}
        case "move":
            told = {
                "event": "move", "rule": _move_words(one),
                "delta_uploaded": one["uploaded"], "delta_downloaded": one["downloaded"],
                "uploaded": None, "downloaded": None,
            }  # fmt: skip
        case _:
            told = {}
    return told


def _move_words(one: dict[str, Any]) -> str:
    """Says where the totals of a move came from, or went."""
    lost = any(isinstance(each, int) and each < 0 for each in one.values())
    what = {
        ("account_merged", True): "merged into account", ("account_merged", False): "merged: account",
        ("account_split", True): "split off: account", ("account_split", False): "split from account",
    }[one["event"], lost]  # fmt: skip
    return f"{what} {one['account']}: {json.dumps(one['reason'], ensure_ascii=False)}"


def _with_client(columns: Sequence[Column]) -> Callable[[dict[str, Any]], list[object]]:
    """Makes a row of an object whose member `client` is an object or None."""

    def row(one: dict[str, Any]) -> list[object]:
        client = one.get("client") or {}
        texts = filter(None, (client.get("peer_id_prefix"), client.get("user_agent")))
        return by_name(columns)({**one, "client": " ".join(texts) or None})

    return row
