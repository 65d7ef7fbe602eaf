"""Makes the tables of `tracker export` from a log: their columns, and their rows in order.

No table has personal data: no part of an announce that the log encrypts (address, port, the end of
the peer id, the hash of the client's key), no owner of a key, and no address of an administrator.
Raises what reading the log raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracker.domain.clients import shown_text
from tracker.domain.events import announce, codec
from tracker.history.event_scan import Filter, Scan
from tracker.ports import EventFilter
from tracker.times import rfc3339

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.ports import BookRow, LogPart
    from tracker.store.address_keys import Keyring
    from tracker.store.book import Book

INT, BOOL, TEXT, TIME, JSON = "int", "bool", "text", "time", "json"
"""Types of columns. A time is text by RFC 3339, in UTC; JSON is an object."""

Row = tuple[Any, ...]
"""The values of a row in the order of its table's columns. None = there is no value."""

_AT_ONCE = 10_000  # events found between two reports of progress
_WHEN = {"seq": INT, "time": TIME, "log_time": TIME}
_OPEN = {"key_ref": INT, "info_hash": TEXT}  # what many events are about
_PRIVATE = ("owner", "address", "sealed")


class Table(NamedTuple):
    """A table that can be exported."""

    columns: dict[str, str]
    """Names and types."""
    about: str


TABLES: Final = {
    "announces": Table(
        {
            **_WHEN, "info_hash": TEXT, "account": INT, "key_ref": INT, "event": TEXT,
            "uploaded": INT, "downloaded": INT, "left": INT, "numwant": INT, "compact": BOOL,
            "protocol": TEXT, "listener": INT, "client": INT, "rule": TEXT, "prev_seq": INT,
        },
        "every announce",
    ),
    "events": Table(
        {**_WHEN, "type": TEXT, **_OPEN, "account": INT, "data": JSON},
        "every other event; its further members are in `data`",
    ),
    "book": Table(
        {
            "account": INT, "info_hash": TEXT, "uploaded": INT, "downloaded": INT,
            "credited_uploaded": INT, "credited_downloaded": INT, "seeding_us": INT,
            "partial_us": INT, "first_seen": TIME, "last_seen": TIME, "completed_at": TIME,
            "snatched": INT, "sessions": INT, "announces": INT, "corrections": INT, "client": INT,
        },
        "what each account did in each torrent",
    ),
    "clients": Table(
        {"client": INT, "prefix": TEXT, "agent": TEXT},
        "the clients by number: the beginning of the peer id, and the User-Agent",
    ),
}  # fmt: skip


def events_of(
    table: str,
    folder: Path,
    part: LogPart,
    keys: Keyring | None,
    account_of: array[int],
    report: Callable[[int], None],
) -> Iterator[Row]:
    """Yields the rows of `announces` or `events` for a part of the log, by seq.

    `account_of`: accounts by `key_ref`. `report` is called with the next seq now and then.
    """
    types = frozenset(codec.EVENT_TYPES) - {announce.NAME}
    if table == "announces":
        types = frozenset({announce.NAME})
    make = _announce if table == "announces" else _event
    scan = Scan(folder, part, Filter(EventFilter(types=types), account_of), keys)
    while not scan.over:
        scan.step(_AT_ONCE)
        for event in scan.take():
            yield make(event, account_of)
        report(scan.seq)


def _announce(event: dict[str, Any], account_of: array[int]) -> Row:
    event.setdefault("log_time", event["time"])
    event["account"] = _account(event["key_ref"], account_of)
    return tuple(event.get(name) for name in TABLES["announces"].columns)


def _account(key_ref: int | None, account_of: array[int]) -> int | None:
    known = key_ref is not None and 0 < key_ref < len(account_of)
    return account_of[key_ref] or None if known and key_ref else None


def _event(event: dict[str, Any], account_of: array[int]) -> Row:
    columns = TABLES["events"].columns
    data = {name: _open(value) for name, value in event.items() if name not in columns}
    for name in _PRIVATE:
        data.pop(name, None)
    account = event.get("account") or _account(event.get("key_ref"), account_of)
    row = {"log_time": event["time"], **event, "account": account, "data": data}
    return tuple(row.get(name) for name in columns)


def _open(value: object) -> object:
    """Returns a member of an event without the personal members inside."""
    if isinstance(value, dict):
        return {name: _open(one) for name, one in value.items() if name not in _PRIVATE}
    return value


def book(rows: Book) -> Iterator[Row]:
    """Yields the rows of the book by account and info hash."""
    return map(_book_row, rows.everything())


def _book_row(row: BookRow) -> Row:
    return (
        row.account, row.info_hash.hex() if row.info_hash else None, row.uploaded, row.downloaded,
        row.credited_uploaded, row.credited_downloaded, row.seeding_us, row.partial_us,
        _time(row.first_us), _time(row.last_us), _time(row.completed_us), row.snatched,
        row.sessions, row.announces, row.corrections, row.client,
    )  # fmt: skip


def _time(date_us: int | None) -> str | None:
    return None if date_us is None else rfc3339(date_us)


def clients(state: State) -> Iterator[Row]:
    """Yields the clients that have a number."""
    for number, (prefix, agent) in enumerate(state.clients.pairs, 1):
        yield number, shown_text(prefix), shown_text(agent)
