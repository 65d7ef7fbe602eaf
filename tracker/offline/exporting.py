"""Makes the tables of `tracker export` from a log: their columns, and their rows in order.

Personal data are only in what is asked for as `personal`: what the log encrypts of an announce
(address, port, the end of the peer id, the hash of the client's key), networks and pseudonyms,
owners of keys, addresses of administrators, their notes about cases, and what they asked for to see
addresses. Raises what reading the log raises.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracker.domain.clients import shown_text
from tracker.domain.events import announce, codec
from tracker.history.event_scan import Filter, Scan
from tracker.ports import CASE_GRADES, CasesQuery, EventFilter, JudgedQuery
from tracker.store.stay_files import Sought
from tracker.times import date, rfc3339

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.ledger.cases import CaseList
    from tracker.ledger.judged import Judgements
    from tracker.offline.stays import Addresses
    from tracker.ports import BookRow, JudgedDownload, LogPart, SeriesDay
    from tracker.store.address_keys import Keyring
    from tracker.store.book import Book
    from tracker.store.daily_rows import DailyRows
    from tracker.store.stay_files import Stay, Stays

INT, BOOL, TEXT, TIME, DATE, JSON = "int", "bool", "text", "time", "date", "json"
"""Types of columns. A time is text by RFC 3339, in UTC, and a date its first ten characters; JSON
is an object."""

Row = tuple[Any, ...]
"""The values of a row in the order of its table's columns. None = there is no value."""

_AT_ONCE = 10_000  # events found between two reports of progress; rows of a page
_EVER = 2**62  # beyond every event
_WHEN = {"seq": INT, "time": TIME, "log_time": TIME}
_OPEN = {"key_ref": INT, "info_hash": TEXT}  # what many events are about
_PRIVATE: tuple[str, ...] = ("owner", "address", "sealed", "note", "asked")
_NOT_THEIRS = ("by", "key_hash", "old_key_hash", "request", "sealed")
"""Members of a member's own events that tell of others: who of the staff wrote them, and why. And
hashes of keys."""
ABOUT_ONE = frozenset({
    "key_issued", "key_rotated", "key_revoked", "announce_refused", "credit_factor_set",
    "credit_corrected", "immunity_changed", "hit_and_run_pardoned", "hit_and_run_voided",
})  # fmt: skip
"""Types of the events that are about a member."""


class Table(NamedTuple):
    """A table that can be exported."""

    columns: dict[str, str]
    """Names and types."""
    about: str
    personal: dict[str, str] = {}  # noqa: RUF012  # nobody writes to it
    """Further columns, only where they are asked for."""


TABLES: Final = {
    "announces": Table(
        {
            **_WHEN, "info_hash": TEXT, "account": INT, "key_ref": INT, "event": TEXT,
            "uploaded": INT, "downloaded": INT, "left": INT, "numwant": INT, "compact": BOOL,
            "protocol": TEXT, "listener": INT, "client": INT, "rule": TEXT, "prev_seq": INT,
        },
        "every announce",
        {"address": TEXT, "port": INT, "peer_id": TEXT, "client_key_hash": INT},
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
    "stays": Table(
        {
            "info_hash": TEXT, "account": INT, "key_ref": INT, "joined": TIME, "how": TEXT,
            "seq": INT, "left": TIME, "why": TEXT, "left_seq": INT, "last_announce": TIME,
            "peer_id_prefix": TEXT, "client": INT, "protocol": TEXT, "listener": INT,
        },
        "who was listed, and when",
        {"network": TEXT, "pseudonym": TEXT, "address": TEXT},
    ),
    "series": Table(
        {
            "account": INT, "info_hash": TEXT, "date": DATE, "uploaded": INT, "downloaded": INT,
            "credited_uploaded": INT, "credited_downloaded": INT, "seeding_us": INT,
            "completed": INT, "most_seeders": INT, "most_leechers": INT,
        },
        "what each account, and each torrent, gained on each day",
    ),
    "hit_and_run": Table(
        {
            "account": INT, "info_hash": TEXT, "state": TEXT, "since": TIME, "seq": INT,
            "rule": INT, "size": INT, "uploaded": INT, "downloaded": INT, "seeding_us": INT,
            "partial_us": INT, "liable_at": TIME, "last_violated_at": TIME, "absent_since": TIME,
            "at_risk_at": TIME, "violated_at": TIME, "seed_left_us": INT, "upload_left": INT,
        },
        "the downloads that are judged",
    ),
    "cases": Table(
        {
            "account": INT, "detector": TEXT, "state": TEXT, "since": TIME, "grade": TEXT,
            "outcome": TEXT, "until": TIME, "findings": INT, "first": TIME, "last": TIME,
        },
        "what detectors found, and what staff made of it",
    ),
    "clients": Table(
        {"client": INT, "prefix": TEXT, "agent": TEXT},
        "the clients by number: the beginning of the peer id, and the User-Agent",
    ),
}  # fmt: skip


def columns_of(table: str, *, personal: bool) -> dict[str, str]:
    """Returns names and types of a table's columns."""
    found = TABLES[table]
    return found.columns | (found.personal if personal else {})


def events_of(
    table: str,
    folder: Path,
    part: LogPart,
    keys: Keyring | None,
    account_of: array[int],
    report: Callable[[int], None],
    *,
    personal: bool = False,
    account: int | None = None,
) -> Iterator[Row]:
    """Yields the rows of `announces` or `events` for a part of the log, by seq.

    `account_of`: accounts by `key_ref`. `report` is called with the next seq now and then.
    `account`: only its events; None = all.
    """
    types = frozenset(codec.EVENT_TYPES) - {announce.NAME}
    if table == "announces":
        types = frozenset({announce.NAME})
    elif account is not None:
        types = ABOUT_ONE
    columns = tuple(columns_of(table, personal=personal))
    hidden = _PRIVATE if account is None else _NOT_THEIRS
    if personal and account is None:
        hidden = ()
    wanted = Filter(EventFilter(types=types, account=account), account_of)
    scan = Scan(folder, part, wanted, keys)
    while not scan.over:
        scan.step(_AT_ONCE)
        for event in scan.take():
            if table == "announces":
                yield _announce(event, account_of, columns)
            else:
                yield _event(event, account_of, hidden)
        report(scan.seq)


def _announce(event: dict[str, Any], account_of: array[int], columns: tuple[str, ...]) -> Row:
    event.setdefault("log_time", event["time"])
    event["account"] = _account(event["key_ref"], account_of)
    return tuple(event.get(name) for name in columns)


def _account(key_ref: int | None, account_of: array[int]) -> int | None:
    known = key_ref is not None and 0 < key_ref < len(account_of)
    return account_of[key_ref] or None if known and key_ref else None


def _event(event: dict[str, Any], account_of: array[int], hidden: tuple[str, ...]) -> Row:
    columns = TABLES["events"].columns
    data = {name: each for name, each in event.items() if name not in columns}
    data = {name: _open(each, hidden) for name, each in data.items() if name not in hidden}
    account = event.get("account") or _account(event.get("key_ref"), account_of)
    row = {"log_time": event["time"], **event, "account": account, "data": data}
    return tuple(row.get(name) for name in columns)


def _open(value: object, hidden: tuple[str, ...]) -> object:
    """Returns a member of an event without the hidden members inside."""
    if isinstance(value, dict):
        return {name: _open(one, hidden) for name, one in value.items() if name not in hidden}
    return value


def book(rows: Book, account: int | None = None) -> Iterator[Row]:
    """Yields the rows of the book by account and info hash. `account`: only its rows."""
    return map(_book_row, rows.everything() if account is None else rows.of_account(account))


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


def stays(
    index: Stays, addresses: Addresses | None = None, account: int | None = None
) -> Iterator[Row]:
    """Yields the stays of the index in the order in which they began. `addresses`: finds the
    addresses, if the personal columns are wanted; `account`: only its stays.
    """
    for stay in index.find(Sought(account=account), -1, _EVER):
        row = _stay(stay)
        if addresses is not None:
            where = stay.network or None, stay.pseudonym or None, addresses.of(stay) or None
            row += where
        yield row


def _stay(stay: Stay) -> Row:
    joined = None if stay.how == "before" else stay.from_us
    return (
        stay.info_hash.hex(), stay.account, stay.key_ref, _time(joined), stay.how, stay.from_seq,
        _time(stay.to_us), stay.why, stay.to_seq, _time(stay.seen_us), shown_text(stay.peer_id),
        stay.client, "udp" if stay.udp else "http", stay.listener,
    )  # fmt: skip


def series(rows: DailyRows, account: int | None = None) -> Iterator[Row]:
    """Yields the days of all accounts, and then those of all torrents. `account`: only its days."""
    if account is not None:
        return (_day(account, None, day) for day in rows.of(account))
    accounts = (_day(owner, None, day) for owner, day in rows.accounts())
    return chain(accounts, (_day(None, info_hash, day) for info_hash, day in rows.torrents()))


def _day(account: int | None, info_hash: bytes | None, day: SeriesDay) -> Row:
    return (
        account, info_hash.hex() if info_hash else None, date(day.day), day.uploaded,
        day.downloaded, day.credited_uploaded, day.credited_downloaded, day.seeding_us,
        day.completed, day.seeders, day.leechers,
    )  # fmt: skip


def hit_and_run(judged: Judgements, account: int | None = None) -> Iterator[Row]:
    """Yields the downloads by account and info hash. `account`: only its downloads."""
    after = None
    while True:
        query = JudgedQuery(account=account, after=after, limit=_AT_ONCE)
        page = judged.page(query, None)
        yield from map(_download, page.downloads)
        after = page.following
        if after is None:
            return


def _download(one: JudgedDownload) -> Row:
    facts, since = one.facts, one.since
    row = one.account, one.info_hash.hex(), since.state, rfc3339(since.time_us), since.seq
    if facts is None:
        raise AssertionError("a download of the present has facts")
    return (
        *row, facts.rule or None, facts.size or None, facts.uploaded, facts.downloaded,
        facts.seeding_us, facts.partial_us, _time(facts.liable_us), _time(facts.violated_us),
        _time(facts.absent_us), _time(facts.risk_at_us), _time(facts.violated_at_us),
        facts.seed_left_us, facts.upload_left,
    )  # fmt: skip


def cases(found: CaseList) -> Iterator[Row]:
    """Yields the cases by account and detector, without what staff wrote about them."""
    after = None
    while True:
        page = found.page(CasesQuery(grades=("", *CASE_GRADES), after=after, limit=_AT_ONCE))
        for one in page.cases:
            yield (
                one.account, one.detector, one.state, rfc3339(one.since_us), one.grade,
                one.outcome, _time(one.until_us), one.findings, _time(one.first_us),
                _time(one.last_us),
            )  # fmt: skip
        after = page.following
        if after is None:
            return
