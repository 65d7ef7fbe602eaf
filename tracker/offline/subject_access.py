"""Makes the answer to a subject access request: one member's data, and nobody else's.

Peers that replies named are others, so no reply is in it. What staff wrote (reasons, notes, cases)
may tell of others, so it is left out, too. Raises what reading the log raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracker.ledger.judged import Judgements
from tracker.offline import exporting
from tracker.offline.exporting import INT, TEXT, TIME
from tracker.ports import JudgedQuery, LogPart
from tracker.service.read_model import Projection
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.offline.exporting import Row
    from tracker.offline.stays import Addresses
    from tracker.store.address_keys import Keyring
    from tracker.store.book import Book
    from tracker.store.stay_files import Stays

_KEYS: Final = {
    "key_ref": INT, "state": TEXT, "owner": TEXT, "label": TEXT, "valid_until": TIME,
    "last_used": TIME,
}  # fmt: skip
_TRANSITIONS: Final = {"info_hash": TEXT, "state": TEXT, "time": TIME, "seq": INT}


class File(NamedTuple):
    """A file of the answer, of JSON lines."""

    name: str
    columns: dict[str, str]
    rows: Iterable[Row]


class Sources(NamedTuple):
    """What the answer is read from."""

    log: Path
    keys: Keyring | None  # None = addresses are null
    state: State  # the newest
    book: Book | None
    stays: Stays
    addresses: Addresses


def about(of: Sources, account: int) -> dict[str, Any]:
    """Returns what the answer is about, for a file of its own."""
    state = of.state
    owner = next((name for name, each in state.access.owners.items() if each == account), None)
    totals = Projection(state, {}).account(account)
    if totals is None:
        raise ValueError(f"there is no account {account}")
    return {
        "account": account,
        "owner": owner,
        "up_to_event": state.seq - 1,
        "time": rfc3339(state.dates.of(state.time_us)),
        "uploaded": totals.uploaded,
        "downloaded": totals.downloaded,
        "credited_uploaded": totals.credited_uploaded,
        "credited_downloaded": totals.credited_downloaded,
        "seeding_seconds": totals.seeding_us // 1_000_000,
    }


def files(of: Sources, account: int, report: Callable[[int], None]) -> Iterator[File]:
    """Yields the files of an account. `report` is called with the next seq of a walk now and
    then.
    """
    account_of, clients = of.state.access.account_of, set[int]()
    for table in "announces", "events":
        rows = exporting.events_of(
            table, of.log, LogPart(), of.keys, account_of, report, personal=True, account=account
        )
        yield _file(table, rows, clients)
    yield File("keys.jsonl", _KEYS, _keys(of.state, account))
    yield _file("stays", exporting.stays(of.stays, of.addresses, account), clients)
    if of.book is not None:
        yield from _of_book(of.book, account, clients)
    named = (row for row in exporting.clients(of.state) if row[0] in clients)
    yield _file("clients", named, clients)


def _of_book(book: Book, account: int, clients: set[int]) -> Iterator[File]:
    yield _file("book", exporting.book(book, account), clients)
    if book.series is not None:
        yield _file("series", exporting.series(book.series, account), clients)
    judged = Judgements(book)
    yield _file("hit_and_run", exporting.hit_and_run(judged, account), clients)
    yield File("hit_and_run_history.jsonl", _TRANSITIONS, _transitions(judged, account))


def _file(table: str, rows: Iterable[Row], clients: set[int]) -> File:
    """`clients` gets the numbers of the clients in the rows, as they are read."""
    columns = exporting.columns_of(table, personal=True)
    if "client" in columns:
        rows = _noted(rows, list(columns).index("client"), clients)
    return File(f"{table}.jsonl", columns, rows)


def _noted(rows: Iterable[Row], column: int, found: set[int]) -> Iterator[Row]:
    for row in rows:
        if row[column] is not None:
            found.add(row[column])
        yield row


def _keys(state: State, account: int) -> Iterator[Row]:
    for key in Projection(state, {}).keys(0):
        if key.account == account:
            until, used = (
                None if each is None else rfc3339(each)
                for each in (key.valid_until_us, key.used_us)
            )
            yield key.key_ref, key.state, key.owner, key.label, until, used


def _transitions(judged: Judgements, account: int) -> Iterator[Row]:
    for download in judged.page(JudgedQuery(account=account, limit=10**9), None).downloads:
        info_hash = download.info_hash
        for one in judged.history(account, info_hash):
            yield info_hash.hex(), one.state, rfc3339(one.time_us), one.seq
